-- grain: one row per version that answered in the period
-- unit:  answers; timestamps are instants in UTC
-- null:  never
select
    logged.version,
    count(*) as n_answers
from {{ log | ident }} as logged
where
    true
{% if since is not none %}
    and logged.requested_at >= {{ since | literal }}
{% endif %}
{% if until is not none %}
    and logged.requested_at < {{ until | literal }}
{% endif %}
group by logged.version
order by logged.version
