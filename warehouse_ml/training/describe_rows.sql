-- grain: one row
-- unit:  counts of rows; data_hash is a sum, so that the order of rows does not matter
-- null:  data_hash is null where there are no rows; n_without_label is 0 for a model without a label
select
    count(*) as n_rows,
    {{ count_where("wml_split = 'train'") }} as n_train,
    {{ count_where("wml_split = 'eval'") }} as n_eval,
    {{ count_where("wml_split = 'test'") }} as n_test,
    {{ count_where("wml_split not in ('train', 'eval', 'test')") }} as n_unknown,
{% if label %}
    {{ count_where(label | ident ~ ' is null') }} as n_without_label,
{% else %}
    0 as n_without_label,
{% endif %}
{% if split_column %}
    {{ count_where(split_column | ident ~ " is null and wml_split <> 'train'") }} as n_held_out_by_null,
{% endif %}
    {{ sum_text('wml_row_hash') }} as data_hash
from {{ relation | ident }}
