-- grain: one row per unit, slice, label and prediction; multiclass
-- unit:  n_rows counts rows, weight sums weights
-- null:  label where it is not known at as_of, prediction where there is none
{{ create_scratch('wml_confusion') }}
with cells as (
    select
        request_rows.unit,
        {% for name in names %}
        request_rows.{{ name }},
        {% endfor %}
        request_rows.label,
        request_rows.prediction,
        count(*) as n_rows,
        sum(request_rows.weight) as weight,
        sum(request_rows.weight * request_rows.weight) as weight_squares
    from wml_rows as request_rows
    group by
        request_rows.unit,
        {% for name in names %}
        request_rows.{{ name }},
        {% endfor %}
        request_rows.label,
        request_rows.prediction
)

select
    cells.unit,
    {{ grouped_slice(slices, names) }},
    cells.label,
    cells.prediction,
    {{ as_int('sum(cells.n_rows)') }} as n_rows,
    sum(cells.weight) as weight,
    sum(cells.weight_squares) as weight_squares
from cells
group by grouping sets (
    {% for slice in slices %}
    (cells.unit, {% for name in slice.names %}{{ name }}, {% endfor %}cells.label, cells.prediction){% if not loop.last %},{% endif %}

    {% endfor %}
)
