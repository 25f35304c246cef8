-- grain: one row per unit, combination of all slice columns, label and prediction; multiclass
-- unit:  n_rows counts rows, weight sums weights
-- null:  label where it is not known at as_of, prediction where there is none
{{ create_scratch('wml_cells') }}
with cells as (
    select
        request_rows.combination,
        request_rows.label,
        request_rows.prediction,
        count(*) as n_rows,
        sum({{ row_weight }}) as weight,
        sum({{ row_weight }} * {{ row_weight }}) as weight_squares
    from wml_rows as request_rows
    group by
        request_rows.combination,
        request_rows.label,
        request_rows.prediction
)

select
    combinations.unit,
    {% for name in names %}
    combinations.{{ name }},
    {% endfor %}
    cells.label,
    cells.prediction,
    cells.n_rows,
    cells.weight,
    cells.weight_squares
from cells
inner join wml_combinations as combinations
    on cells.combination = combinations.combination
