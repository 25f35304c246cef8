-- grain: one row per answer of the version
-- unit:  features as logged; timestamps are instants in UTC
-- null:  a feature that the request had no value of
select
    logged.request_id,
    logged.requested_at
{% for column in features %}
    ,
    logged.{{ column | ident }}
{% endfor %}
from {{ log | ident }} as logged
where
    logged.version = {{ answers.version | literal }}
{% if answers.request_id is not none %}
    and logged.request_id = {{ answers.request_id | literal }}
{% endif %}
{% if answers.since is not none %}
    and logged.requested_at >= {{ answers.since | literal }}
{% endif %}
{% if answers.until is not none %}
    and logged.requested_at < {{ answers.until | literal }}
{% endif %}
