-- grain: one row per unit and slice in which a label is known; binary task with weights
-- unit:  roc_auc and average_precision in [0, 1], over weights
-- null:  roc_auc where only one class is there, average_precision where no label is positive
-- As ranking.sql, with sums of weights for counts; windowed sums cost about three times as much as ranks.
{{ create_scratch('wml_ranking') }}
with slices as (
    select
        bins.unit,
        bins.slice_set,
        bins.slice_value,
        row_number() over (order by bins.unit, bins.slice_set, bins.slice_value) as slice_id
    from wml_bins as bins
    group by
        bins.unit,
        bins.slice_set,
        bins.slice_value
),

-- One number for a slice: windows over it cost half of those over its names.
sliced as (
    {% for slice in slices %}
    select
        slices.slice_id,
        request_rows.label,
        request_rows.score,
        request_rows.weight
    from wml_rows as request_rows
    inner join slices
        on request_rows.unit = slices.unit
        and slices.slice_set = {{ loop.index0 }}
        and slices.slice_value = {{ slice_text(slice.names) }}
    where request_rows.label is not null
        and request_rows.score is not null
    {% if not loop.last %}
    union all
    {% endif %}
    {% endfor %}
),

scores as (
    select
        sliced.slice_id,
        sliced.score,
        sum(sliced.weight * sliced.label) as positive,
        sum(sliced.weight * (1e0 - sliced.label)) as negative,
        sum(sliced.weight * sliced.weight * sliced.label) as positive_squares,
        sum(sliced.weight * sliced.weight * (1e0 - sliced.label)) as negative_squares
    from sliced
    group by
        sliced.slice_id,
        sliced.score
),

ranked as (
    select
        scores.slice_id,
        scores.positive,
        scores.negative,
        scores.positive_squares,
        scores.negative_squares,
        sum(scores.positive) over downwards as positive_from,
        sum(scores.negative) over downwards as negative_from,
        sum(scores.positive) over slice_rows as all_positive,
        sum(scores.negative) over slice_rows as all_negative
    from scores
    window
        slice_rows as (partition by scores.slice_id),
        downwards as (
            partition by scores.slice_id
            order by scores.score desc
            rows between unbounded preceding and current row
        )
),

placed as (
    select
        ranked.slice_id,
        ranked.positive,
        ranked.negative,
        ranked.positive_squares,
        ranked.negative_squares,
        ranked.all_positive,
        ranked.all_negative,
        1e0 - {{ safe_divide('ranked.negative_from - ranked.negative / 2e0', 'ranked.all_negative') }} as positive_placement,
        {{ safe_divide('ranked.positive_from - ranked.positive / 2e0', 'ranked.all_positive') }} as negative_placement,
        {{ safe_divide('ranked.positive_from', 'ranked.positive_from + ranked.negative_from') }} as precision_at_score
    from ranked
),

sums as (
    select
        placed.slice_id,
        max(placed.all_positive) as positive,
        max(placed.all_negative) as negative,
        sum(placed.positive_squares) as positive_squares,
        sum(placed.negative_squares) as negative_squares,
        sum(placed.positive * placed.positive_placement) as positive_sum,
        sum(placed.positive * placed.positive_placement * placed.positive_placement) as positive_sum_squares,
        sum(placed.negative * placed.negative_placement) as negative_sum,
        sum(placed.negative * placed.negative_placement * placed.negative_placement) as negative_sum_squares,
        sum(placed.positive * placed.precision_at_score) as precision_sum
    from placed
    group by
        placed.slice_id
)

select
    slices.unit,
    slices.slice_set,
    slices.slice_value,
    case when sums.negative > 0 then {{ safe_divide('sums.positive_sum', 'sums.positive') }} end as roc_auc,
    {% for side in ['positive', 'negative'] %}
    {% set mean = safe_divide('sums.' ~ side ~ '_sum', 'sums.' ~ side) %}
    {% set effective = safe_divide('sums.' ~ side ~ ' * sums.' ~ side, 'sums.' ~ side ~ '_squares') %}
    ({{ safe_divide('sums.' ~ side ~ '_sum_squares', 'sums.' ~ side) }} - {{ mean }} * {{ mean }})
        / nullif({{ effective }} - 1e0, 0){% if loop.first %} + {% else %} as roc_auc_variance,{% endif %}

    {% endfor %}
    {{ safe_divide('sums.precision_sum', 'sums.positive') }} as average_precision
from sums
inner join slices
    on sums.slice_id = slices.slice_id
