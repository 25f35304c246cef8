-- grain: one row per row of the training query
-- unit:  as in the query; wml_row_hash in [0, 2^60), equal for equal rows
-- null:  as in the query; a null changes the hash as a value does
{#- The query stands as it is written, so that an error's place in it can be found. -#}
{{ '' }}
create or replace temp table {{ relation | ident }} as
select
    read_rows.*,
    {{ row_hash('read_rows') }} as wml_row_hash
from (
{{ query }}
) as read_rows
