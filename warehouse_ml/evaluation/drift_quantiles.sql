-- grain: one row per numeric column of the reference
-- unit:  the column's own; edges are values that shares of its rows do not exceed; stddev divides by n; n_distinct may
--        be a few per cent off
-- null:  all that is of numbers where the column is null or not finite in every row
{% for column in columns %}
{% if not loop.first %}
union all
{% endif %}
select
    {{ as_int(column.index) }} as input,
    {{ quantiles_at('given.' ~ column.column, shares) }} as edges,
    min(given.{{ column.column }}) as lowest,
    max(given.{{ column.column }}) as highest,
    stddev_pop(given.{{ column.column }}) as stddev,
    count(given.{{ column.column }}) as n_rows,
    {{ about_distinct('given.' ~ column.column) }} as n_distinct
from {{ column.rows }} as given
{% endfor %}
