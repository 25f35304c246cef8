-- grain: one row per unit and slice; regression
-- unit:  n_* count rows, the others are weighted sums; error is prediction less label, in the label's unit
-- null:  sums over no labelled and predicted row; log_error_squares also where a value is negative
{% set sums = {
    'label': 'centred.label',
    'label_squares': 'centred.label * centred.label',
    'original_label': 'centred.label + centred.mean_label',
    'prediction': 'centred.prediction',
    'prediction_squares': 'centred.prediction * centred.prediction',
    'error': 'centred.error',
    'absolute_error': 'abs(centred.error)',
    'error_squares': 'centred.error * centred.error',
    'error_fourths': 'centred.error * centred.error * centred.error * centred.error',
    'log_error_squares': 'centred.log_error * centred.log_error',
} %}
{{ create_scratch('wml_moments') }}
with known as (
    select
        request_rows.unit,
        {% for name in names %}
        request_rows.{{ name }},
        {% endfor %}
        request_rows.weight,
        request_rows.label as any_label,
        case when request_rows.prediction is not null then request_rows.label end as label,
        case when request_rows.label is not null then request_rows.prediction end as prediction
    from wml_rows as request_rows
),

-- Labels are taken from their mean, so that the squares of a large number do not drown its spread.
centred as (
    select
        known.unit,
        {% for name in names %}
        known.{{ name }},
        {% endfor %}
        known.weight,
        known.any_label,
        known.label - avg(known.label) over (partition by known.unit) as label,
        avg(known.label) over (partition by known.unit) as mean_label,
        known.prediction,
        known.prediction - known.label as error,
        case
            when known.prediction >= 0 and known.label >= 0 then ln(1e0 + known.prediction) - ln(1e0 + known.label)
        end as log_error
    from known
)

select
    centred.unit,
    {{ grouped_slice(slices, names) }},
    {{ as_int('count(*)') }} as n_requests,
    {{ as_int('count(centred.any_label)') }} as n_labelled,
    {{ as_int('count(centred.label)') }} as n_rows,
    {{ as_int('count(centred.log_error)') }} as n_logarithms,
    sum(case when centred.label is not null then centred.weight end) as weight,
    sum(case when centred.label is not null then centred.weight * centred.weight end) as weight_squares,
    {% for name, term in sums.items() %}
    sum(centred.weight * ({{ term }})) as {{ name }}{% if not loop.last %},{% endif %}

    {% endfor %}
from centred
group by grouping sets (
    {% for slice in slices %}
    (centred.unit{% for name in slice.names %}, {{ name }}{% endfor %}){% if not loop.last %},{% endif %}

    {% endfor %}
)
