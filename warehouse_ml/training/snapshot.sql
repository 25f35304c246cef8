-- grain: one row per training row, in an order that depends on the rows alone
-- unit:  as in the training query
-- null:  as in the training query
select training_rows.*
from {{ relation | ident }} as training_rows
order by
    wml_row_hash asc
