-- grain: one row per unit with a warning
-- unit:  as in label_warnings.sql
-- null:  never
select
    {{ as_int('warnings.unit') }} as unit,
    warnings.warning
from wml_warnings as warnings
