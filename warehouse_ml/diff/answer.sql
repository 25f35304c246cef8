-- grain: one row per request that the version had not answered
-- unit:  as in the log
-- null:  as in the log
insert into {{ log | ident }} (
    request_id, model, version, alias, requested_at, logged_at, score, prediction, sample_weight
{% for column in columns %}
    , {{ column | ident }}
{% endfor %}
)
select
    asked.request_id,
    {{ param('model') }},
    {{ param('version') }},
    {{ param('alias') }},
    asked.requested_at,
    {{ param('logged_at') }},
    scored.score,
{% if is_binary %}
    case
        when scored.score >= {{ param('threshold') }} then {{ param('positive') }}
        else {{ param('negative') }}
    end,
{% else %}
    scored.prediction,
{% endif %}
    asked.sample_weight
{% for column in columns %}
    ,
    asked.{{ column | ident }}
{% endfor %}
from {{ asked | ident }} as asked
inner join {{ scored | ident }} as scored on asked.request_id = scored.request_id
