-- grain: one row
-- unit:  n_* are counts of rows to train or evaluate on
-- null:  never
select
    {{ count_where((split | ident) ~ " = 'train'") }} as n_train,
    {{ count_where((split | ident) ~ " = 'eval'") }} as n_eval,
    {{ count_where((label | ident) ~ ' is null') }} as n_missing,
    {{ count_where((label | ident) ~ ' is not null and (' ~ finite(label | ident) ~ ') is null') }} as n_not_finite
from {{ relation | ident }}
where {{ split | ident }} in ('train', 'eval')
