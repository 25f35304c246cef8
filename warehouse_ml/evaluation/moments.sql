-- grain: one row per unit and slice; regression
-- unit:  as in cells_regression.sql
-- null:  as in cells_regression.sql
-- One pass over the rows makes the finest cells, and every slice is a sum of cells.
{% set powers = ['error', 'error_squares', 'error_cubes', 'error_fourths', 'label', 'label_squares', 'label_cubes', 'label_fourths',
    'error_label', 'error_label_squares', 'error_squares_label', 'error_squares_label_squares'] %}
{% set others = ['absolute_error', 'prediction', 'prediction_squares', 'log_error_squares', 'log_error_fourths'] %}
{% set plain = ['error', 'error_squares', 'label', 'label_squares', 'absolute_error', 'prediction', 'log_error_squares'] %}
{% set plain_names = plain if columns.has_weight else powers + others %}
{% set sq_names = powers + others if columns.has_weight else [] %}
{{ create_scratch('wml_moments') }}
select
    cells.unit,
    {{ grouped_slice(slices, names) }},
    {% for name in ['n_requests', 'n_labelled', 'n_rows', 'n_logarithms'] %}
    {{ as_int('sum(cells.' ~ name ~ ')') }} as {{ name }},
    {% endfor %}
    max(cells.centre) as centre,
    {% for name in sq_names %}
    sum(cells.sq_{{ name }}) as sq_{{ name }},
    {% endfor %}
    {% for name in ['weight', 'weight_squares'] + plain_names %}
    sum(cells.{{ name }}) as {{ name }}{% if not loop.last %},{% endif %}

    {% endfor %}
from wml_cells as cells
group by grouping sets (
    {% for slice in slices %}
    (cells.unit{% for name in slice.names %}, {{ name }}{% endfor %}){% if not loop.last %},{% endif %}

    {% endfor %}
)
