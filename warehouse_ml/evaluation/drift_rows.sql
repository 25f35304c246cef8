-- grain: one row per row of one side
-- unit:  unit is that of wml_due; input_i is the column's own; cell_i counts cells in the order of the numbers
-- null:  a number that is null or not finite, and its cell; a text that is null
-- Each step keeps the order of doubles, so that a cell's numbers lie together. The bounds are written out: placing a number
-- takes comparisons alone, and no join.
{% macro cell(number, piece) %}
{% if not piece.scale %}
{{ piece.first_cell }}
{%- elif piece.form == 'below' %}
{{ piece.first_cell }} + {{ piece.n_cells }} / (1e0 + ({{ piece.start }} - {{ number }}) * {{ piece.scale }})
{%- elif piece.form == 'above' %}
{{ piece.last }} - {{ piece.n_cells }} / (1e0 + ({{ number }} - {{ piece.start }}) * {{ piece.scale }})
{%- else %}
{{ piece.first_cell }} + ({{ number }} - {{ piece.start }}) * {{ piece.scale }}
{%- endif %}
{% endmacro %}
{% macro place(number, pieces) %}
case
            {% for piece in pieces %}
            when {{ number }} {{ piece.comparison ~ ' ' ~ piece.end if piece.end else 'is not null' }} then {{ cell(number, piece) }}
            {% endfor %}
        end
{%- endmacro %}
{{ create_scratch(table) }}
select
    {% for column in columns %}
    source_rows.{{ column.column }},
    {% if column.pieces %}
    {{ as_small_int('floor(' ~ place('source_rows.' ~ column.column, column.pieces) ~ ')') }} as cell_{{ column.index }},
    {% endif %}
    {% endfor %}
    source_rows.unit
from (
{{ rows_sql }}
) as source_rows
