-- grain: one row per unit (0 is the reference), column and value; of numbers, where they are not counted, one per row
-- unit:  number is the column's own; n_rows counts rows
-- null:  number where the value is null, or not finite; text where it is null; number of a text, text of a number
-- Long before anything is computed, so that every expression is written once, however many columns there are.
{% macro long_rows(columns, source) %}
{% for kind in ['numeric', 'categorical'] if columns | selectattr('kind', 'equalto', kind) | list %}
{% if not loop.first %}
union all
{% endif %}
select
    {{ source }}_values.unit,
    {{ source }}_values.input,
    {% if kind == 'numeric' %}
    {{ finite(source ~ '_values.number') }} as number,
    cast(null as {{ type('string') }}) as text,
    {{ as_int('count(*)' if is_counted else '1') }} as n_rows
    {% else %}
    cast(null as {{ type('double') }}) as number,
    {{ source }}_values.text,
    {{ as_int('count(*)') }} as n_rows
    {% endif %}
from {{ source }} unpivot include nulls (
    {{ 'number' if kind == 'numeric' else 'text' }} for input in (
        {%- for column in columns | selectattr('kind', 'equalto', kind) %}{{ column.column }}{% if not loop.last %}, {% endif %}{% endfor -%}
    )
) as {{ source }}_values
{% if kind == 'categorical' or is_counted %}
group by
    {{ source }}_values.unit,
    {{ source }}_values.input,
    {{ source ~ '_values.text' if kind == 'categorical' else finite(source ~ '_values.number') }}
{% endif %}
{% endfor %}
{%- endmacro %}
{{ create_scratch('wml_drift_long') }}
with input_rows as (
    select
        {% for input in given %}
        {{ (as_double if input.kind == 'numeric' else as_string)('given_rows.' ~ (input.name | ident)) }} as {{ input.column }},
        {% endfor %}
        {{ 'due.unit' if is_current else as_int('0') }} as unit
    from (
{{ rows_sql }}
    ) as given_rows
    {% if is_current %}
    inner join wml_due as due
        on {{ same('due.version', as_int(param('version'))) }}
        and given_rows.requested_at < {{ param('as_of') }}
        {% if window != 'all' %}
        and given_rows.requested_at >= due.window_start
        and given_rows.requested_at < due.window_end
        {% endif %}
        {% if is_previous %}
        and due.unit = {{ param('unit') }}
        {% endif %}
    {% elif is_previous %}
    where given_rows.requested_at >= {{ param('since') }}
        and given_rows.requested_at < {{ param('until') }}
    {% endif %}
){% if joined %},

output_rows as (
    select
        {% for output in joined %}
        {% if output.kind == 'categorical' and task == 'binary' %}
        {{ as_string(as_int('joined.' ~ output.source)) }} as {{ output.column }},
        {% else %}
        joined.{{ output.source }} as {{ output.column }},
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
){% endif %}

{% if given %}
{{ long_rows(given, 'input_rows') }}
{% endif %}
{% if given and joined %}
union all
{% endif %}
{% if joined %}
{{ long_rows(joined, 'output_rows') }}
{% endif %}
{% if has_scores %}
union all
select
    {{ as_int('0') }} as unit,
    'output_prediction' as input,
    {{ finite('scores.number') }} as number,
    scores.text,
    {{ as_int('1') }} as n_rows
from wml_drift_scores as scores
{% endif %}
