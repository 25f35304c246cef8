-- grain: one row per training row
-- unit:  the inputs' own; wml_label is the label as evaluations have it: 0 or 1, a number, or text
-- null:  the inputs' own
select
{% if label %}
    {% if positive %}
    case when {{ as_string(label | ident) }} = {{ positive | literal }} then '1' else '0' end as wml_label,
    {% else %}
    {{ label | ident }} as wml_label,
    {% endif %}
{% endif %}
{% for column, value in columns.items() %}
    {% if value %}{{ value }} as {% endif %}{{ column | ident }}{% if not loop.last %},{% endif %}

{% endfor %}
from {{ read_parquet(path) }}
where wml_split = 'train'
