-- grain: one row per unit (0 is the reference), column, and number or text
-- unit:  n_rows counts rows as a double; of a label, those in which it is known
-- null:  number of texts, and of what is null or not finite; text of numbers, and of what is null
{{ create_scratch('wml_drift_listed') }}
select
    counted.unit,
    {{ as_int('counted.input') }} as input,
    counted.number,
    counted.text,
    counted.n_rows
from (
    select
        cleaned.unit,
        cleaned.input,
        cleaned.number,
        cleaned.text,
        sum(cleaned.n_rows) as n_rows
    from (
        {% for rows in groups %}
        {% if not loop.first %}
        union all
        {% endif %}
        select
            listed.unit,
            listed.input,
            {{ finite('listed.number') }} as number,
            listed.text,
            {% for column in rows.columns if column.part == 'label' %}
            -- A label that is not known says nothing of the labels.
            case when listed.input = '{{ column.index }}' and {{ finite('listed.number') }} is null and listed.text is null then 0e0 else 1e0 end as n_rows
            {% else %}
            1e0 as n_rows
            {% endfor %}
        from (
{{ rows.sql }}
        ) as wide
        unpivot include nulls (
            (number, text) for input in (
                {% for column in rows.columns %}
                {% set pair = [column.column, 'no_text'] if column.kind == 'numeric' else ['no_number', column.column] %}
                ({{ pair | join(', ') }}) as '{{ column.index }}'{{ '' if loop.last else ',' }}
                {% endfor %}
            )
        ) as listed
        {% endfor %}
    ) as cleaned
    group by
        cleaned.unit,
        cleaned.input,
        cleaned.number,
        cleaned.text
) as counted
