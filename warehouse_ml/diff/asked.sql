{#- The part of the log that falls into the window. -#}
{% macro in_window(relation) -%}
{% if start %}{{ relation }}.requested_at >= {{ start | literal }} and {{ relation }}.requested_at < {{ end | literal }}{% else %}{{ relation }}.requested_at < {{ as_of | literal }}{% endif %}
{%- endmacro %}
-- grain: one row per request of the window that somebody answered and the version did not
-- unit:  as in the log
-- null:  as in the log; every feature of the version is as it was logged, or else as the request has it now
{{ create_scratch(target | ident) }}
with logged as (
    select
        answers.request_id,
        max(answers.requested_at) as requested_at,
        max(answers.sample_weight) as sample_weight,
{% for column in columns %}
        max(answers.{{ column | ident }}) as {{ column | ident }},
{% endfor %}
        {{ count_where('answers.version in (' ~ (knowing | map('literal') | join(', ')) ~ ')') if knowing else '0' }} as n_complete,
        {{ count_where('answers.version = ' ~ (version | literal)) }} as n_answers
    from {{ log | ident }} as answers
    where {{ in_window('answers') }}
    group by answers.request_id
)

select
    logged.request_id,
    logged.requested_at,
    logged.sample_weight
{% for column in columns %}
    ,
    logged.{{ column | ident }}
{% endfor %}
from logged
where
    logged.n_answers = 0
    and logged.n_complete > 0
{% if requests %}
union all
select
    logged.request_id,
    logged.requested_at,
    logged.sample_weight
{% for column in columns %}
    ,
    {{ 'requests' if column in features else 'logged' }}.{{ column | ident }}
{% endfor %}
from logged
inner join {{ requests | ident }} as requests
    on logged.request_id = {{ as_string('requests.request_id') }}
where
    logged.n_answers = 0
    and logged.n_complete = 0
{% endif %}
