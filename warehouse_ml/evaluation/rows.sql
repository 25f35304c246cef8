-- grain: one row per request and version asked before as_of, of every window
-- unit:  score in [0, 1] for a binary task, else the label's own; label 0 or 1, a number, or text
-- null:  label and label_known_at where it was not known at as_of; a null slice is a group of its own, '(null)'; there is
--        no label_known_at, and no weight, where the query has none
{% if columns.has_label_known_at %}
{%- set label = 'case when joined.label_known_at > ' ~ param('as_of') ~ ' then null else joined.label end' %}
{% else %}
{%- set label = 'joined.label' %}
{% endif %}
{%- set label = as_int(label) if columns.is_boolean_label and task != 'multiclass' else label %}
{%- set prediction = as_int('joined.prediction') if columns.is_boolean_prediction else 'joined.prediction' %}
{{ create_scratch('wml_joined') }}
with asked as (
    select
        {{ as_int('joined.model_version' if columns.has_version else 'null') }} as version,
        cast(joined.requested_at as {{ type('timestamp') }}) as requested_at,
        {{ as_double('joined.score' if columns.has_score else 'null') }} as score,
        {% if task == 'multiclass' %}
        {{ as_string('joined.prediction') }} as prediction,
        {{ as_string(label) }} as label,
        {% elif task == 'regression' and not columns.has_score %}
        {{ as_double(prediction) }} as prediction,
        {{ as_double(label) }} as label,
        {% else %}
        {{ as_double(prediction if not columns.has_score else 'null') }} as prediction,
        {{ as_double(label) }} as label,
        {% endif %}
        {% for slice in slice_columns %}
        coalesce({{ as_string('joined.' ~ (slice.column | ident)) }}, '(null)') as {{ slice.name }},
        {% endfor %}
        {% for metric in own_metrics if metric.over == 'rows' %}
        {{ finite(metric.sql('joined', dialect)) }} as {{ metric.column }},
        {% endfor %}
        {% if columns.has_label_known_at %}
        case when joined.label is not null and joined.label_known_at <= {{ param('as_of') }} then cast(joined.label_known_at as {{ type('timestamp') }}) end as label_known_at,
        {% endif %}
        {% if columns.has_weight %}
        {{ as_double('joined.sample_weight') }} as weight,
        {% endif %}
        {{ as_string('joined.request_id') }} as request_id
    from (
        {% if columns.has_label_known_at and own_metrics %}
        -- The user's own expressions must not see it sooner either.
        select
            known.* replace (case when known.label_known_at > {{ param('as_of') }} then null else known.label end as label)
        from (
        {% endif %}
{{ join_sql }}
        {% if columns.has_label_known_at and own_metrics %}
        ) as known
        {% endif %}
    ) as joined
    where
        joined.requested_at < {{ param('as_of') }}
        {% if has_since %}
        and joined.requested_at >= {{ param('since') }}
        {% endif %}
)

select
    asked.version,
    asked.requested_at,
    {% if window == 'all' %}
    cast(null as {{ type('timestamp') }}) as window_start,
    {% else %}
    {{ period_start('asked.requested_at', window) }} as window_start,
    {% endif %}
    {% if task == 'binary' and columns.has_score %}
    asked.score,
    case
        when asked.score >= {{ param('threshold') }} then 1e0
        when asked.score is not null then 0e0
    end as prediction,
    {% elif task == 'regression' %}
    coalesce(asked.score, asked.prediction) as score,
    coalesce(asked.score, asked.prediction) as prediction,
    {% else %}
    asked.score,
    asked.prediction,
    {% endif %}
    asked.label,
    {% if columns.has_label_known_at %}
    asked.label_known_at,
    {% endif %}
    {% if columns.has_weight %}
    asked.weight,
    {% endif %}
    {% for metric in own_metrics if metric.over == 'rows' %}
    asked.{{ metric.column }},
    {% endfor %}
    {% for slice in slice_columns %}
    asked.{{ slice.name }},
    {% endfor %}
    asked.request_id
from asked
