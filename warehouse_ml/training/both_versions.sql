-- grain: one row per row held out and version
-- unit:  as in held_out.sql
-- null:  as in held_out.sql
{% for query in queries %}
select
    version_{{ loop.index }}.request_id,
    version_{{ loop.index }}.requested_at,
    version_{{ loop.index }}.model_version,
    version_{{ loop.index }}.score,
    version_{{ loop.index }}.prediction,
    version_{{ loop.index }}.label
from (
{{ query }}
) as version_{{ loop.index }}
{% if not loop.last %}
union all
{% endif %}
{% endfor %}
