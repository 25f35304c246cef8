-- grain: one row per unit, slice and bin of the score; binary task
-- unit:  n_* count rows, the others sum weights; *_squares sum squared weights (for the effective sample size)
-- null:  bin where a row has no score, or no label known at as_of
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

{% set outcomes = {'tp': (1, 1), 'fp': (0, 1), 'tn': (0, 0), 'fn': (1, 0)} %}
select
    cells.unit,
    {{ grouped_slice(slices, names) }},
    {{ as_int('cells.bin') }} as bin,
    {{ as_int('sum(cells.n_rows)') }} as n_requests,
    {{ as_int('sum(case when cells.label is not null then cells.n_rows else 0 end)') }} as n_labelled,
    {{ as_int('sum(cells.n_scored)') }} as n_scored,
    {% for outcome, (label, prediction) in outcomes.items() %}
    {% set condition = 'cells.label = ' ~ label ~ ' and cells.prediction = ' ~ prediction %}
    {{ as_int('sum(case when ' ~ condition ~ ' then cells.n_rows else 0 end)') }} as n_{{ outcome }},
    sum(case when {{ condition }} then cells.weight else 0e0 end) as {{ outcome }},
    sum(case when {{ condition }} then cells.weight_squares else 0e0 end) as {{ outcome }}_squares,
    {% endfor %}
    sum(cells.score) as score,
    sum(cells.score_squares) as score_squares,
    sum(cells.loss) as loss,
    sum(cells.loss_squares) as loss_squares,
    sum(cells.brier) as brier,
    sum(cells.brier_squares) as brier_squares
from cells
group by grouping sets (
    {% for slice in slices %}
    (cells.unit, {% for name in slice.names %}{{ name }}, {% endfor %}cells.bin){% if not loop.last %},{% endif %}

    {% endfor %}
)
