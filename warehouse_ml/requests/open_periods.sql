-- grain: one row per stretch of time in which a version had an alias
-- unit:  the first and the last day, midnight in UTC, on which not as many requests were answered as asked
-- null:  first_day and last_day where there is no such day
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

days as (
    select
        coalesce(asked.day, answered.day) as day
{% for period in periods %}
        ,
        coalesce(asked.n_{{ loop.index0 }}, 0) as asked_{{ loop.index0 }},
        coalesce(answered.n_{{ loop.index0 }}, 0) as answered_{{ loop.index0 }}
{% endfor %}
    from asked
    full outer join answered
        on asked.day = answered.day
)

{% for period in periods %}
select
    {{ loop.index0 }} as period,
    min(case when days.asked_{{ loop.index0 }} <> days.answered_{{ loop.index0 }} then days.day end) as first_day,
    max(case when days.asked_{{ loop.index0 }} <> days.answered_{{ loop.index0 }} then days.day end) as last_day,
    coalesce(sum(days.answered_{{ loop.index0 }}), 0) as n_answered
from days
{% if not loop.last %}
union all
{% endif %}
{% endfor %}
order by period
