-- grain: one row per training row that was held out on one side, eval or test
-- unit:  as in the training rows
-- null:  as in the training rows
select
{% for column in columns %}
    training_rows.{{ column | ident }}{% if not loop.last %},{% endif %}

{% endfor %}
from {{ relation | ident }} as training_rows
where training_rows.{{ split | ident }} = {{ side | literal }}
