-- grain: one row per row of the query
-- unit:  {{ row }} numbers the rows, from 1
-- null:  as in the query
select
    row_number() over () as {{ row | ident }},
    wml_read.*
from (
{{ query }}
) as wml_read
