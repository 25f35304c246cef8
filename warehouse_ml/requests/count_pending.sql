-- grain: one row
-- unit:  requests that the version has not answered yet
-- null:  never
select count(*) as n_rows
from ({{ pending }}) as pending
