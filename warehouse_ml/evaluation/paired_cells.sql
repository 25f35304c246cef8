-- grain: one row per pair, slice and outcome: the label and both decisions (binary), or what was right (multiclass)
-- unit:  n_rows counts requests, the others are weighted sums; *_change sums the squares of the paired differences
-- null:  label and decisions where the task is not binary; sums of scores where there are none
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
        null as label,
        null as decision,
        null as other_decision,
        case when paired.prediction = paired.other_prediction then 0 else 1 end as is_flip,
        {% elif task == 'binary' %}
        paired.label,
        paired.prediction as decision,
        paired.other_prediction as other_decision,
        case when paired.prediction = paired.other_prediction then 0 else 1 end as is_flip,
        {% else %}
        -- Of many classes it only counts which version was right.
        1 as label,
        case when paired.prediction = paired.label then 1 else 0 end as decision,
        case when paired.other_prediction = paired.label then 1 else 0 end as other_decision,
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
        outcomes.label,
        outcomes.decision,
        outcomes.other_decision,
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
        outcomes.label,
        outcomes.decision,
        outcomes.other_decision
)

select
    cells.pair,
    {{ grouped_slice(slices, names) }},
    cells.label,
    cells.decision,
    cells.other_decision,
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
    (cells.pair, {% for name in slice.names %}{{ name }}, {% endfor %}cells.label, cells.decision, cells.other_decision){% if not loop.last %},{% endif %}

    {% endfor %}
)
