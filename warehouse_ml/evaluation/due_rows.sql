-- grain: one row per request and version of the due windows
-- unit:  as in rows.sql
-- null:  as in rows.sql
{{ create_scratch('wml_rows') }}
select
    due.unit,
    joined.request_id,
    joined.score,
    joined.prediction,
    joined.label,
    joined.requested_at,
    joined.label_known_at,
    {% for slice in slice_columns %}
    joined.{{ slice.name }},
    {% endfor %}
    {% for metric in own_metrics if metric.over == 'rows' %}
    joined.{{ metric.column }},
    {% endfor %}
    joined.weight
from wml_joined as joined
inner join wml_due as due
    on {{ same('joined.version', 'due.version') }}
    and {{ same('joined.window_start', 'due.window_start') }}
