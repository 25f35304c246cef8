-- grain: one row per unit (0 is the reference), input and bucket that occurs
-- unit:  bucket is 1 to 10 for a numeric input, the value itself for a categorical one; n_rows counts rows
-- null:  bucket where the input is null, or not finite
-- The edges come from a table: written out as literals they would not always be the same doubles.
{{ create_scratch(table) }}
with inputs as (
    select
        {% if is_reference %}
        0 as unit,
        {% else %}
        due.unit,
        {% endif %}
        {% for input in columns %}
        {% if input.kind == 'numeric' %}
        {{ finite('input_rows.' ~ (input.name | ident)) }} as {{ input.column }}{% if not loop.last %},{% endif %}

        {% else %}
        {{ as_string('input_rows.' ~ (input.name | ident)) }} as {{ input.column }}{% if not loop.last %},{% endif %}

        {% endif %}
        {% endfor %}
    from (
{{ rows_sql }}
    ) as input_rows
    {% if not is_reference %}
    inner join wml_due as due
        on {{ same('due.version', as_int(param('version'))) }}
        and input_rows.requested_at < {{ param('as_of') }}
        {% if window != 'all' %}
        and input_rows.requested_at >= due.window_start
        and input_rows.requested_at < due.window_end
        {% endif %}
    {% endif %}
),

bucketed as (
    select
        inputs.unit,
        {% for input in columns %}
        {% if input.kind == 'numeric' %}
        case
            {% for edge in range(1, 10) %}
            when inputs.{{ input.column }} <= edges.{{ input.column }}_{{ edge }} then '{{ edge }}'
            {% endfor %}
            when inputs.{{ input.column }} is not null then '10'
        end as {{ input.column }}{% if not loop.last %},{% endif %}

        {% else %}
        inputs.{{ input.column }}{% if not loop.last %},{% endif %}

        {% endif %}
        {% endfor %}
    from inputs
    {% if numeric %}
    cross join wml_drift_edges as edges
    {% endif %}
)

select
    counted.unit,
    counted.input,
    counted.bucket,
    {{ as_int('count(*)') }} as n_rows
from bucketed unpivot include nulls (
    bucket for input in ({% for input in columns %}{{ input.column }}{% if not loop.last %}, {% endif %}{% endfor %})
) as counted
group by
    counted.unit,
    counted.input,
    counted.bucket
