-- grain: one row per request and version
-- unit:  as in the log
-- null:  sample_weight is left to whoever weighs requests
insert into {{ log | ident }} (
    request_id, model, version, alias, requested_at, logged_at, score, prediction{% for column in decided %}, {{ column }}{% endfor %}

{% for column in features %}
    , {{ column | ident }}
{% endfor %}
)
select
    scored.request_id,
    {{ param('model') }},
    {{ param('version') }},
    {{ param('alias') }},
    scored.requested_at,
    {{ param('logged_at') }},
    scored.score,
{% if is_binary %}
    case
        when scored.score >= {{ param('threshold') }} then {{ param('positive') }}
        else {{ param('negative') }}
    end
{% else %}
    scored.prediction
{% endif %}
{% if 'threshold' in decided %}
    ,
    {{ as_double(param('threshold')) }}
{% endif %}
{% if 'definition_hash' in decided %}
    ,
    (
        select max(builds.definition_hash)
        from {{ 'builds' | wml }} as builds
        where builds.relation = {{ param('requests') }}
    )
{% endif %}
{% for column in features %}
    ,
    scored.{{ column | ident }}
{% endfor %}
from ({{ scored }}) as scored
