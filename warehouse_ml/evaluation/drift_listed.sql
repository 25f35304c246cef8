-- grain: one row per unit (0 is the reference), column, and number or text
-- unit:  n_rows counts rows, as a double; of a label only those in which it is known
-- null:  number of texts, and of what is null or not finite; text of numbers, and of what is null
{{ create_scratch('wml_drift_listed') }}
with {% for rows in groups %}
wide_{{ rows.name }} as (
{{ rows.sql }}
){{ ',' if not loop.last }}
{% endfor %}
{% for part in parts %}
{% if not loop.first %}
union all
{% endif %}
select
    counted.unit,
    {{ as_int('counted.input') }} as input,
    {{ 'counted.number' if part.is_numeric else as_double('null') }} as number,
    {{ as_string('null') if part.is_numeric else 'counted.text' }} as text,
    counted.n_rows
from (
    select
        listed.unit,
        listed.input,
        listed.{{ 'number' if part.is_numeric else 'text' }},
        {{ as_double('count(*)') }} as n_rows
    from (
        select
            unpivoted.unit,
            unpivoted.input,
            {{ finite('unpivoted.number') ~ ' as number' if part.is_numeric else 'unpivoted.text' }}
        from wide_{{ part.name }} unpivot include nulls (
            {{ 'number' if part.is_numeric else 'text' }} for input in (
                {% for column in part.columns %}
                {{ column.column }} as '{{ column.index }}'{{ ',' if not loop.last }}
                {% endfor %}
            )
        ) as unpivoted
    ) as listed
    {% for column in part.columns if column.part == 'label' %}
    -- A label that is not known says nothing of the labels.
    where listed.input <> '{{ column.index }}'
        or listed.{{ 'number' if part.is_numeric else 'text' }} is not null
    {% endfor %}
    group by
        listed.unit,
        listed.input,
        listed.{{ 'number' if part.is_numeric else 'text' }}
) as counted
{% endfor %}
