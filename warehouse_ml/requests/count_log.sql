-- grain: one row
-- unit:  rows of the log
-- null:  never
select {{ count_where('logged.version = ' ~ param('version')) }} as n_rows
from {{ log | ident }} as logged
