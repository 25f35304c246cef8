-- grain: one row per training row whose hash is below a bound
-- unit:  as in the training query
-- null:  as in the training query
create or replace temp table {{ target | ident }} as
select read_rows.*
from {{ relation | ident }} as read_rows
where read_rows.wml_row_hash < {{ param('bound') }}
