-- grain: one row per stretch of time in which a version had an alias and some day has other requests than answers
-- unit:  days begin and end at midnight in UTC
-- null:  never
{%- macro falls(period, id) -%}
{%- if period.share is not none %} and {{ 'not ' if not period.is_canary }}({{ is_in_share(request_text(model, id), period.share) }}){% endif -%}
{%- endmacro -%}
{%- set since = periods | map(attribute='since') | min -%}
{%- set until = periods | map(attribute='until') | max %}

with asked as (
    select
        {{ period_start('requests.requested_at', 'day') }} as day,
{% for period in periods %}
        {{ count_where('requests.requested_at >= ' ~ (period.since | literal) ~ ' and requests.requested_at < ' ~ (period.until | literal) ~ falls(period, 'requests.request_id')) }} as n_{{ loop.index0 }}{% if not loop.last %},{% endif %}

{% endfor %}
    from {{ relation | ident }} as requests
    where
        requests.requested_at >= {{ since | literal }}
        and requests.requested_at < {{ until | literal }}
    group by 1
),

answered as (
    select
        {{ period_start('logged.requested_at', 'day') }} as day,
{% for period in periods %}
        {{ count_where('logged.version = ' ~ (period.version | literal) ~ ' and logged.requested_at >= ' ~ (period.since | literal) ~ ' and logged.requested_at < ' ~ (period.until | literal) ~ falls(period, 'logged.request_id')) }} as n_{{ loop.index0 }}{% if not loop.last %},{% endif %}

{% endfor %}
    from {{ log | ident }} as logged
    where
        logged.requested_at >= {{ since | literal }}
        and logged.requested_at < {{ until | literal }}
    group by 1
),

open_days as (
{% for period in periods %}
    select
        {{ loop.index0 }} as period,
        asked.day
    from asked
    left join answered
        on asked.day = answered.day
    where asked.n_{{ loop.index0 }} <> coalesce(answered.n_{{ loop.index0 }}, 0)
{% if not loop.last %}
    union all
{% endif %}
{% endfor %}
)

select
    open_days.period,
    min(open_days.day) as first_day,
    max(open_days.day) as last_day
from open_days
group by open_days.period
order by open_days.period
