-- grain: as the evaluation's own query, of one window and two versions
-- unit:  as in the evaluation's query
-- null:  as in the evaluation's query
{{ create_scratch(target | ident) }}
select joined.*
from (
{{ query }}
) as joined
where
    joined.model_version in ({{ versions | map('literal') | join(', ') }})
    and joined.requested_at < {{ as_of | literal }}
{% if start %}
    and joined.requested_at >= {{ start | literal }}
    and joined.requested_at < {{ end | literal }}
{% endif %}
