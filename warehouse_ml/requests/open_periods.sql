-- grain: one row per stretch of time in which a version had an alias
-- unit:  counts of requests, and of those that the version has answered
-- null:  never
{%- macro falls(period, id) -%}
{%- if period.share is not none %} and {{ 'not ' if not period.is_canary }}({{ is_in_share(request_text(model, id), period.share) }}){% endif -%}
{%- endmacro %}

with asked as (
    select
{% for period in periods %}
        {{ count_where('requests.requested_at >= ' ~ (period.since | literal) ~ ' and requests.requested_at < ' ~ (period.until | literal) ~ falls(period, 'requests.request_id')) }} as n_{{ loop.index0 }}{% if not loop.last %},{% endif %}

{% endfor %}
    from {{ relation | ident }} as requests
),

answered as (
    select
{% for period in periods %}
        {{ count_where('logged.version = ' ~ (period.version | literal) ~ ' and logged.requested_at >= ' ~ (period.since | literal) ~ ' and logged.requested_at < ' ~ (period.until | literal) ~ falls(period, 'logged.request_id')) }} as n_{{ loop.index0 }}{% if not loop.last %},{% endif %}

{% endfor %}
    from {{ log | ident }} as logged
)

{% for period in periods %}
select
    {{ loop.index0 }} as period,
    asked.n_{{ loop.index0 }} as n_asked,
    answered.n_{{ loop.index0 }} as n_answered
from asked
cross join answered
{% if not loop.last %}
union all
{% endif %}
{% endfor %}
order by period
