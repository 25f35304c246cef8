-- grain: one row per row of one side
-- unit:  unit is that of wml_due; input_i is the column's own; cell_i counts cells in the order of the numbers, with a gap
--        after each piece of the column's range
-- null:  a number that is null or not finite, and its cell; a text that is null
-- Subtraction, multiplication and floor keep the order of doubles, so that a cell's numbers lie together. The bounds are
-- written out: placing a number takes comparisons alone, and no join.
{% macro place(column) %}
case
            {% for piece in column.pieces %}
            when source_rows.{{ column.column }} {{ piece.comparison }} {{ piece.bound }} then {{ piece.first_cell }}
                {%- if piece.scale %} + (source_rows.{{ column.column }} - {{ piece.start }}) * {{ piece.scale }}{% endif %}

            {% endfor %}
            when source_rows.{{ column.column }} is not null then {{ column.above }}
        end
{%- endmacro %}
{{ create_scratch(table) }}
select
    {% for column in columns %}
    source_rows.{{ column.column }},
    {% if column.pieces %}
    {{ as_small_int('floor(' ~ place(column) ~ ')') }} as cell_{{ column.index }},
    {% endif %}
    {% endfor %}
    source_rows.unit
from (
{{ rows_sql }}
) as source_rows
