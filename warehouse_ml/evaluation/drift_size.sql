-- grain: one row
-- unit:  n_values counts the different values of all columns, a few per cent off
-- null:  none
select
    {% for column in columns %}
    {{ about_distinct('source_rows.' ~ column.column) }} {{ 'as n_values' if loop.last else '+' }}
    {% endfor %}
from (
{{ rows_sql }}
) as source_rows
