-- grain: one row per training row
-- unit:  dates in days, instants in seconds, all else its own
-- null:  as in the training rows
select
{% if at %}
    {{ at | literal }} as requested_at,
{% endif %}
{% for name, value in columns.items() %}
    {{ value }} as {{ name }}{% if not loop.last %},{% endif %}

{% endfor %}
from {{ read_parquet(path) }}
