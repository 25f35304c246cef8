-- grain: one row per label value, train or eval; ascending in the order of the label's own type
-- unit:  n_* are counts of rows
-- null:  label is null in the row that counts the missing labels
select
    {{ as_string(label | ident) }} as label,
    {{ count_where((split | ident) ~ " = 'train'") }} as n_train,
    {{ count_where((split | ident) ~ " = 'eval'") }} as n_eval
from {{ relation | ident }}
where {{ split | ident }} in ('train', 'eval')
group by {{ label | ident }}
order by {{ label | ident }} asc nulls last
limit {{ most }}
