-- grain: one row
-- unit:  each numeric input's own; edge i is the value that i tenths of the reference rows do not exceed
-- null:  edges of an input that is null or not finite in every reference row
{{ create_scratch('wml_drift_edges') }}
with reference as (
    select
        {% for input in numeric %}
        {{ finite('reference_rows.' ~ (input.name | ident)) }} as {{ input.column }}{% if not loop.last %},{% endif %}

        {% endfor %}
    from (
{{ rows_sql }}
    ) as reference_rows
),

cuts as (
    select
        {% for input in numeric %}
        {{ quantiles('reference.' ~ input.column, 10) }} as {{ input.column }}{% if not loop.last %},{% endif %}

        {% endfor %}
    from reference
)

select
    {% for input in numeric %}
    {% set last_input = loop.last %}
    {% for edge in range(1, 10) %}
    {{ element('cuts.' ~ input.column, edge) }} as {{ input.column }}_{{ edge }}{% if not (last_input and loop.last) %},{% endif %}

    {% endfor %}
    {% endfor %}
from cuts
