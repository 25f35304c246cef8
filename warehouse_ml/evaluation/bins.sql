-- grain: one row per unit, slice, label, prediction and bin of the score; binary task
-- unit:  n_* count rows, the others are weighted sums; weight_squares is for the effective number of rows
-- null:  label where it is not known at as_of; bin and sums there, and where there is no score
-- Counts add up: one pass over the rows makes the finest cells, and every slice is a sum of cells.
{{ create_scratch('wml_bins') }}
with scored as (
    select
        request_rows.unit,
        {% for name in names %}
        request_rows.{{ name }},
        {% endfor %}
        request_rows.label,
        request_rows.prediction,
        request_rows.weight,
        case when request_rows.label is not null then request_rows.score end as score,
        case
            when request_rows.label is null then null
            when request_rows.score >= 1 then 10
            else floor(request_rows.score * 10e0) + 1
        end as bin,
        -- The logarithm of 0 is clipped at 1e-15, as scikit-learn did up to version 1.2.
        case
            when request_rows.label = 1 and request_rows.score < 1e-15 then -ln(1e-15)
            when request_rows.label = 1 then -ln(request_rows.score)
            when request_rows.label = 0 and request_rows.score > 1e0 - 1e-15 then -ln(1e-15)
            when request_rows.label = 0 then -ln(1e0 - request_rows.score)
        end as loss,
        (request_rows.score - request_rows.label) * (request_rows.score - request_rows.label) as brier
    from wml_rows as request_rows
),

cells as (
    select
        scored.unit,
        {% for name in names %}
        scored.{{ name }},
        {% endfor %}
        scored.label,
        scored.prediction,
        scored.bin,
        count(*) as n_rows,
        count(scored.score) as n_scored,
        sum(scored.weight) as weight,
        sum(scored.weight * scored.weight) as weight_squares,
        sum(scored.weight * scored.score) as score,
        sum(scored.weight * scored.score * scored.score) as score_squares,
        sum(scored.weight * scored.loss) as loss,
        sum(scored.weight * scored.loss * scored.loss) as loss_squares,
        sum(scored.weight * scored.brier) as brier,
        sum(scored.weight * scored.brier * scored.brier) as brier_squares
    from scored
    group by
        scored.unit,
        {% for name in names %}
        scored.{{ name }},
        {% endfor %}
        scored.label,
        scored.prediction,
        scored.bin
)

select
    cells.unit,
    {{ grouped_slice(slices, names) }},
    cells.label,
    cells.prediction,
    {{ as_int('cells.bin') }} as bin,
    {{ as_int('sum(cells.n_rows)') }} as n_rows,
    {{ as_int('sum(cells.n_scored)') }} as n_scored,
    {% for name in ['weight', 'weight_squares', 'score', 'score_squares', 'loss', 'loss_squares', 'brier', 'brier_squares'] %}
    sum(cells.{{ name }}) as {{ name }}{% if not loop.last %},{% endif %}

    {% endfor %}
from cells
group by grouping sets (
    {% for slice in slices %}
    (cells.unit, {% for name in slice.names %}{{ name }}, {% endfor %}cells.label, cells.prediction, cells.bin){% if not loop.last %},{% endif %}

    {% endfor %}
)
