-- grain: one row per unit, slice, label and prediction; multiclass
-- unit:  n_rows counts rows, weight sums weights
-- null:  label where it is not known at as_of, prediction where there is none
{{ create_scratch('wml_confusion') }}
select
    cells.unit,
    {{ grouped_slice(slices, names) }},
    cells.label,
    cells.prediction,
    {{ as_int('sum(cells.n_rows)') }} as n_rows,
    sum(cells.weight) as weight,
    sum(cells.weight_squares) as weight_squares
from wml_cells as cells
group by grouping sets (
    {% for slice in slices %}
    (cells.unit, {% for name in slice.names %}{{ name }}, {% endfor %}cells.label, cells.prediction){% if not loop.last %},{% endif %}

    {% endfor %}
)
