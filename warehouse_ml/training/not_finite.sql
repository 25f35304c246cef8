-- grain: one row
-- unit:  not_finite is the text of a value that is infinite or not a number, among the training rows
-- null:  not_finite is null where there is none
select min({{ as_string(feature.column) }}) as not_finite
from {{ relation | ident }}
where
    {{ split | ident }} = 'train'
    and {{ feature.column }} is not null
    and {{ feature.value }} is null
