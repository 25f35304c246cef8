-- grain: one row
-- unit:  a count of rows
-- null:  never null
select count(*) as n_rows
from {{ relation | ident }}
