-- grain: one row per request, model and version
-- unit:  as in the logs
-- null:  as in the logs
create or replace view {{ 'request_log' | wml }} as
{% for log in logs %}
select
    request_id,
    model,
    version,
    alias,
    requested_at,
    logged_at,
    score,
    prediction,
    sample_weight,
    threshold,
    definition_hash
from {{ log | ident }}
{% if not loop.last %}
union all
{% endif %}
{% endfor %}
