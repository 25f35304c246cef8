-- grain: one row per pair, slice and outcome
-- unit:  n_rows counts requests, the others are weighted sums; *_change sums the squares of the paired differences; outcome
--        is three digits of 0 and 1: the label, the later version's decision, the earlier one's. Of many classes it says
--        which version was right: 111, 110, 101 or 100
-- null:  outcome of a regression; sums of scores where there are none
-- Counts add up: one pass over the rows makes the finest cells, and every slice is a sum of cells.
{% macro of_request(metric, side) %}
{% set error = '(paired.' ~ side ~ 'prediction - paired.label)' %}
{% set score = 'paired.' ~ side ~ 'score' %}
{% if metric == 'brier_score' %}
        ({{ score }} - paired.label) * ({{ score }} - paired.label)
{%- elif metric == 'log_loss' %}
        -- As in bins.sql: the logarithm of 0 is clipped at 1e-15.
        -ln(
            case
                when paired.label = 1 and {{ score }} < 1e-15 then 1e-15
                when paired.label = 1 then {{ score }}
                when {{ score }} > 1e0 - 1e-15 then 1e-15
                else 1e0 - {{ score }}
            end
        )
{%- elif metric == 'mean_prediction' %}
        {{ score }}
{%- elif metric == 'mean_absolute_error' %}
        abs({{ error }})
{%- elif metric == 'mean_squared_error' %}
        {{ error }} * {{ error }}
{%- else %}
        {{ error }}
{%- endif %}
{% endmacro %}
{{ create_scratch('wml_paired_cells') }}
with outcomes as (
    select
        paired.pair,
        {% for name in names %}
        paired.{{ name }},
        {% endfor %}
        {% if task == 'regression' %}
        cast(null as {{ type('int') }}) as outcome,
        case when paired.prediction = paired.other_prediction then 0 else 1 end as is_flip,
        {% elif task == 'binary' %}
        {{ as_int('100 * paired.label + 10 * paired.prediction + paired.other_prediction') }} as outcome,
        case when paired.prediction = paired.other_prediction then 0 else 1 end as is_flip,
        {% else %}
        100 + case when paired.prediction = paired.label then 10 else 0 end
        + case when paired.other_prediction = paired.label then 1 else 0 end as outcome,
        case when paired.prediction = paired.other_prediction then 0 else 1 end as is_flip,
        {% endif %}
        {% for name in paired_means %}
{{ of_request(name, '') }} as {{ name }},
{{ of_request(name, 'other_') }} as other_{{ name }},
        {% endfor %}
        paired.weight
    from wml_paired as paired
),

cells as (
    select
        outcomes.pair,
        {% for name in names %}
        outcomes.{{ name }},
        {% endfor %}
        outcomes.outcome,
        {% for name in paired_means %}
        sum(outcomes.weight * outcomes.{{ name }}) as {{ name }},
        sum(outcomes.weight * outcomes.other_{{ name }}) as other_{{ name }},
        sum(
            outcomes.weight * (outcomes.{{ name }} - outcomes.other_{{ name }}) * (outcomes.{{ name }} - outcomes.other_{{ name }})
        ) as {{ name }}_change,
        {% endfor %}
        count(*) as n_rows,
        sum(outcomes.is_flip) as n_flips,
        sum(outcomes.weight) as weight,
        sum(outcomes.weight * outcomes.weight) as weight_squares
    from outcomes
    group by
        outcomes.pair,
        {% for name in names %}
        outcomes.{{ name }},
        {% endfor %}
        outcomes.outcome
)

select
    cells.pair,
    {{ grouped_slice(slices, names) }},
    cells.outcome,
    {% for name in paired_means %}
    sum(cells.{{ name }}) as {{ name }},
    sum(cells.other_{{ name }}) as other_{{ name }},
    sum(cells.{{ name }}_change) as {{ name }}_change,
    {% endfor %}
    {{ as_int('sum(cells.n_rows)') }} as n_rows,
    {{ as_int('sum(cells.n_flips)') }} as n_flips,
    sum(cells.weight) as weight,
    sum(cells.weight_squares) as weight_squares
from cells
group by grouping sets (
    {% for slice in slices %}
    (cells.pair, {% for name in slice.names %}{{ name }}, {% endfor %}cells.outcome){% if not loop.last %},{% endif %}

    {% endfor %}
)
