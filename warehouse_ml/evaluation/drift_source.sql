-- grain: one row per row of one side: training rows, requests, or the predictions for rows held out of training
-- unit:  unit is that of wml_due
-- null:  a number that is null or not finite, where the rows are not to be listed; a text that is null
-- Names the rows of a side and its columns input_0, input_1, ...; the statements that read them hold it as a subquery.
{% macro number(expression) %}{{ as_double(expression) if is_listed else finite(expression) }}{% endmacro %}
select
    {% if source == 'joined' %}
    {% for column in columns %}
    {% if column.kind == 'numeric' %}
    {{ number('joined.' ~ column.source) }} as {{ column.column }},
    {% elif task == 'binary' %}
    {{ as_string(as_int('joined.' ~ column.source)) }} as {{ column.column }},
    {% else %}
    {{ as_string('joined.' ~ column.source) }} as {{ column.column }},
    {% endif %}
    {% endfor %}
    {{ 'due.unit' if is_current else as_int('0') }} as unit
from wml_joined as joined
    {% if is_current %}
inner join wml_due as due
    on {{ same('joined.version', 'due.version') }}
    and {{ same('joined.window_start', 'due.window_start') }}
    {% endif %}
where {{ same('joined.version', as_int(param('version'))) }}
    {% if is_previous and is_current %}
    and due.unit = {{ param('unit') }}
    {% elif is_previous %}
    and joined.requested_at >= {{ param('since') }}
    and joined.requested_at < {{ param('until') }}
    {% endif %}
    {% elif source == 'scores' %}
    {% for column in columns %}
    {{ number('scores.number') if column.kind == 'numeric' else 'scores.text' }} as {{ column.column }},
    {% endfor %}
    {{ as_int('0') }} as unit
from wml_drift_scores as scores
    {% elif source == 'given' %}
    {% for column in columns %}
    given.{{ column.column }},
    {% endfor %}
    given.unit
from {{ given }} as given
    {% else %}
    {% for column in columns %}
    {{ (number if column.kind == 'numeric' else as_string)('asked.' ~ (column.name | ident)) }} as {{ column.column }},
    {% endfor %}
    {{ 'due.unit' if is_current else as_int('0') }} as unit
from (
{{ rows_sql }}
) as asked
    {% if is_current %}
inner join wml_due as due
    on {{ same('due.version', as_int(param('version'))) }}
    and asked.requested_at < {{ param('as_of') }}
    {% if window != 'all' %}
    and asked.requested_at >= due.window_start
    and asked.requested_at < due.window_end
    {% endif %}
    {% if is_previous %}
    and due.unit = {{ param('unit') }}
    {% endif %}
    {% elif is_previous %}
where asked.requested_at >= {{ param('since') }}
    and asked.requested_at < {{ param('until') }}
    {% endif %}
    {% endif %}
