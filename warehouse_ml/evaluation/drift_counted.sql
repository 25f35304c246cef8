-- grain: one row per unit (0 is the reference), column, and text, number or cell of numbers
-- unit:  position is the number itself, or that of the cell; piece is a part of the column's range, or a tenth; number_sum adds up the
--        numbers of a cell, less the column's origin, so that little is lost where they are large and lie close together
-- null:  piece and position of texts and of what is no number; text of numbers and of what is null; number_sum of these
{{ create_scratch(table) }}
{% for column in columns %}
{% if not loop.first %}
union all
{% endif %}
select
    {{ as_int(unit) if unit is not none else 'given.unit' }} as unit,
    {{ as_int(column.index) }} as input,
    {% if column.kind == 'categorical' %}
    {{ as_int('null') }} as piece,
    {{ as_double('null') }} as position,
    given.{{ column.column }} as text,
    count(*) as n_rows,
    {{ as_double('null') }} as number_sum
from {{ column.rows }} as given
    {% elif column.pieces %}
    case
        {% for piece in column.pieces[1:] | reverse %}
        when given.cell_{{ column.index }} >= {{ piece.first_cell }} then {{ column.pieces | length - loop.index }}
        {% endfor %}
        when given.cell_{{ column.index }} is not null then 0
    end as piece,
    {{ as_double('given.cell_' ~ column.index) }} as position,
    {{ as_string('null') }} as text,
    count(*) as n_rows,
    sum(given.{{ column.column }} - {{ column.origin }}) as number_sum
from {{ column.rows }} as given
    {% else %}
    case
        {% for edge in column.edges %}
        when given.{{ column.column }} <= {{ edge }} then {{ loop.index }}
        {% endfor %}
        when given.{{ column.column }} is not null then 10
    end as piece,
    given.{{ column.column }} as position,
    {{ as_string('null') }} as text,
    given.n_rows,
    0e0 as number_sum
from (
    select
        {% if unit is none %}
        given_rows.unit,
        {% endif %}
        given_rows.{{ column.column }},
        count(*) as n_rows
    from {{ column.rows }} as given_rows
    {% if column.part == 'label' %}
    -- A label that is not known says nothing of the labels.
    where given_rows.{{ column.column }} is not null
    {% endif %}
    group by
        {% if unit is none %}
        given_rows.unit,
        {% endif %}
        given_rows.{{ column.column }}
) as given
    {% endif %}
    {% if column.kind == 'categorical' or column.pieces %}
    {% if column.part == 'label' %}
where given.{{ column.column }} is not null
    {% endif %}
group by
    {% if unit is none %}
    given.unit,
    {% endif %}
    given.{{ 'cell_' ~ column.index if column.pieces else column.column }}
    {% endif %}
{% endfor %}
