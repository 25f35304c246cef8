-- grain: one row per training row
-- unit:  as in the training query
-- null:  as in the training query
select training_rows.*
from {{ rows }} as training_rows
