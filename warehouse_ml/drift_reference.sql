-- grain: one row per training row
-- unit:  the inputs' own
-- null:  the inputs' own
select
{% for column, value in columns.items() %}
    {% if value %}{{ value }} as {% endif %}{{ column | ident }}{% if not loop.last %},{% endif %}

{% endfor %}
from {{ read_parquet(path) }}
where wml_split = 'train'
