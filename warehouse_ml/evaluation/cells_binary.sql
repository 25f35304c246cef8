-- grain: one row per unit, combination of all slice columns, label, prediction and bin of the score; binary task
-- unit:  n_* count rows, the others are weighted sums; weight_squares is for the effective number of rows
-- null:  label where it is not known at as_of; bin and sums there, and where there is no score
-- sq_* are sums over squared weights, for variances; without weights they would be the same as the plain ones.
{{ create_scratch('wml_cells') }}
with scored as (
    select
        request_rows.combination,
        request_rows.label,
        request_rows.prediction,
        {% if columns.has_weight %}
        request_rows.weight,
        {% endif %}
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
        scored.combination,
        scored.label,
        scored.prediction,
        scored.bin,
        count(*) as n_rows,
        count(scored.score) as n_scored,
        {{ 'sum(scored.weight)' if columns.has_weight else as_double('count(*)') }} as weight,
        {{ 'sum(scored.weight * scored.weight)' if columns.has_weight else as_double('count(*)') }} as weight_squares,
        {% for times, prefix in ([('scored.weight * ', ''), ('scored.weight * scored.weight * ', 'sq_')] if columns.has_weight else [('', '')]) %}
        {% set last = loop.last %}
        {% for name in ['score', 'loss', 'brier'] %}
        sum({{ times }}scored.{{ name }}) as {{ prefix ~ name }},
        sum({{ times }}scored.{{ name }} * scored.{{ name }}) as {{ prefix ~ name }}_squares{% if not (last and loop.last) %},{% endif %}

        {% endfor %}
        {% endfor %}
    from scored
    group by
        scored.combination,
        scored.label,
        scored.prediction,
        scored.bin
)

select
    combinations.unit,
    {% for name in names %}
    combinations.{{ name }},
    {% endfor %}
    cells.label,
    cells.prediction,
    cells.bin,
    cells.n_rows,
    cells.n_scored,
    cells.weight,
    cells.weight_squares,
    {% for prefix in (['', 'sq_'] if columns.has_weight else ['']) %}
    {% set last = loop.last %}
    {% for name in ['score', 'loss', 'brier'] %}
    cells.{{ prefix ~ name }},
    cells.{{ prefix ~ name }}_squares{% if not (last and loop.last) %},{% endif %}

    {% endfor %}
    {% endfor %}
from cells
inner join wml_combinations as combinations
    on cells.combination = combinations.combination
