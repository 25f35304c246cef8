-- grain: one row per unit, slice, label, prediction and bin of the score; binary task
-- unit:  as in cells_binary.sql
-- null:  as in cells_binary.sql
-- Counts add up: one pass over the rows makes the finest cells, and every slice is a sum of cells.
{% set sums = ['score', 'score_squares', 'loss', 'loss_squares', 'brier', 'brier_squares'] %}
{% set sq_sums = sums if columns.has_weight else [] %}
{{ create_scratch('wml_bins') }}
select
    cells.unit,
    {{ grouped_slice(slices, names) }},
    cells.label,
    cells.prediction,
    {{ as_int('cells.bin') }} as bin,
    {{ as_int('sum(cells.n_rows)') }} as n_rows,
    {{ as_int('sum(cells.n_scored)') }} as n_scored,
    sum(cells.weight) as weight,
    sum(cells.weight_squares) as weight_squares,
    {% for name in sq_sums %}
    sum(cells.sq_{{ name }}) as sq_{{ name }},
    {% endfor %}
    {% for name in sums %}
    sum(cells.{{ name }}) as {{ name }}{% if not loop.last %},{% endif %}

    {% endfor %}
from wml_cells as cells
group by grouping sets (
    {% for slice in slices %}
    (cells.unit, {% for name in slice.names %}{{ name }}, {% endfor %}cells.label, cells.prediction, cells.bin){% if not loop.last %},{% endif %}

    {% endfor %}
)
