-- grain: one row per unit and combination of all slice columns; regression
-- unit:  n_* count rows, the others are weighted sums; error is prediction less label, in the label's unit; labels and
--        predictions are taken from centre, the mean label of the unit
-- null:  sums over no labelled and predicted row; log_error_* also where a value is negative
-- sq_* are sums over squared weights, for variances; without weights they would be the same as the plain ones.
{# Powers of the error and of the label, as an influence on r2_score and explained_variance multiplies them. #}
{% set powers = {
    'error': 'centred.error',
    'error_squares': 'centred.error * centred.error',
    'error_cubes': 'centred.error * centred.error * centred.error',
    'error_fourths': 'centred.error * centred.error * centred.error * centred.error',
    'label': 'centred.label',
    'label_squares': 'centred.label * centred.label',
    'label_cubes': 'centred.label * centred.label * centred.label',
    'label_fourths': 'centred.label * centred.label * centred.label * centred.label',
    'error_label': 'centred.error * centred.label',
    'error_label_squares': 'centred.error * centred.label * centred.label',
    'error_squares_label': 'centred.error * centred.error * centred.label',
    'error_squares_label_squares': 'centred.error * centred.error * centred.label * centred.label',
} %}
{% set others = {
    'absolute_error': 'abs(centred.error)',
    'prediction': 'centred.prediction',
    'prediction_squares': 'centred.prediction * centred.prediction',
    'log_error_squares': 'centred.log_error * centred.log_error',
    'log_error_fourths': 'centred.log_error * centred.log_error * centred.log_error * centred.log_error',
} %}
{% set plain = ['error', 'error_squares', 'label', 'label_squares', 'absolute_error', 'prediction', 'log_error_squares'] %}
{% set every = dict(powers, **others) %}
{% set plain_names = plain if columns.has_weight else (every | list) %}
{% set sq_names = (every | list) if columns.has_weight else [] %}
{{ create_scratch('wml_cells') }}
with known as (
    select
        request_rows.unit,
        request_rows.combination,
        {{ row_weight }} as weight,
        request_rows.label as any_label,
        case when request_rows.prediction is not null then request_rows.label end as label,
        case when request_rows.label is not null then request_rows.prediction end as prediction
    from wml_rows as request_rows
),

centres as (
    select
        known.unit,
        avg(known.label) as mean_label
    from known
    group by known.unit
),

-- Labels and predictions are taken from the labels' mean, so that the squares of a large number do not drown its spread.
centred as (
    select
        known.combination,
        known.weight,
        known.any_label,
        centres.mean_label as centre,
        known.label - centres.mean_label as label,
        known.prediction - centres.mean_label as prediction,
        known.prediction - known.label as error,
        case
            when known.prediction >= 0 and known.label >= 0 then ln(1e0 + known.prediction) - ln(1e0 + known.label)
        end as log_error
    from known
    inner join centres
        on known.unit = centres.unit
),

cells as (
    select
        centred.combination,
        max(centred.centre) as centre,
        count(*) as n_requests,
        count(centred.any_label) as n_labelled,
        count(centred.label) as n_rows,
        count(centred.log_error) as n_logarithms,
        sum(case when centred.label is not null then centred.weight end) as weight,
        sum(case when centred.label is not null then centred.weight * centred.weight end) as weight_squares,
        {% for name in sq_names %}
        sum(centred.weight * centred.weight * ({{ every[name] }})) as sq_{{ name }},
        {% endfor %}
        {% for name in plain_names %}
        sum(centred.weight * ({{ every[name] }})) as {{ name }}{% if not loop.last %},{% endif %}

        {% endfor %}
    from centred
    group by
        centred.combination
)

select
    combinations.unit,
    {% for name in names %}
    combinations.{{ name }},
    {% endfor %}
    {% for name in ['centre', 'n_requests', 'n_labelled', 'n_rows', 'n_logarithms', 'weight', 'weight_squares'] %}
    cells.{{ name }},
    {% endfor %}
    {% for name in sq_names %}
    cells.sq_{{ name }},
    {% endfor %}
    {% for name in plain_names %}
    cells.{{ name }}{% if not loop.last %},{% endif %}

    {% endfor %}
from cells
inner join wml_combinations as combinations
    on cells.combination = combinations.combination
