-- grain: one row per answer to the request
-- unit:  as in the log
-- null:  a column that came to the log after the answer
select logged.*
from {{ log | ident }} as logged
where logged.request_id = {{ param('request_id') }}
order by logged.version
