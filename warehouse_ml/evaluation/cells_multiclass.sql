-- grain: one row per unit, combination of all slice columns, label and prediction; multiclass
-- unit:  n_rows counts rows, weight sums weights
-- null:  label where it is not known at as_of, prediction where there is none
{{ create_scratch('wml_cells') }}
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
