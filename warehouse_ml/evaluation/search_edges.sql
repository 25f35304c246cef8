-- grain: one row per unit
-- unit:  quartiles in the column's own unit, means in the loss's
-- null:  quartiles of a column that is null in every row
{{ create_scratch('wml_search_edges') }}
select
    asked.unit,
    {% for column in columns %}
    {% if column.is_numeric %}
    {{ quantiles('asked.' ~ column.name, 4) }} as edges_{{ column.name }},
    {% endif %}
    {% endfor %}
    -- What is taken away before squares are summed, so that little is lost; counts of errors are exact as they are.
    {{ '0e0' if task == 'multiclass' else 'avg(asked.first_loss)' }} as first_mean,
    {{ 'avg(asked.second_loss)' if task == 'regression' else '0e0' }} as second_mean
from wml_search_asked as asked
group by asked.unit
