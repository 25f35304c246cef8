-- grain: one row per held-out training row, scored
-- unit:  score as the model's
-- null:  never a null label
select
    {{ as_string('scored.wml_row_hash') }} as request_id,
    scored.score,
    scored.prediction,
    scored.{{ label | ident }} as label
from ({{ scored }}) as scored
