-- grain: one row per label that occurs, ascending
-- unit:  counts of rows for which the column's class was predicted
-- null:  none
with wml_scored as (
{{ scored }}
)

select
    wml_scored.{{ label | ident }} as expected_label,
    {% for name, column in classes %}
    {{ count_where('wml_scored.wml_prediction = ' ~ (name | literal)) }} as {{ column | ident }}{% if not loop.last %},{% endif %}

    {% endfor %}
from wml_scored
where wml_scored.{{ label | ident }} is not null
group by wml_scored.{{ label | ident }}
order by expected_label
