-- grain: one row per unit and slice in which a label is known; binary task with weights
-- unit:  roc_auc, average_precision and kolmogorov_smirnov in [0, 1], over weights, and the variances of the first two
-- null:  roc_auc and kolmogorov_smirnov where only one class is there, average_precision where no label is positive, a variance of fewer than two
-- As ranking.sql, with sums of weights for counts; windowed sums cost about three times as much as ranks.
{{ create_scratch('wml_ranking') }}
-- One number for a slice: windows over it cost half of those over its names.
with sliced as (
    {% for slice in slices %}
    select
        members.slice_id,
        request_rows.label,
        request_rows.score,
        request_rows.weight
    from wml_rows as request_rows
    inner join wml_slice_members as members
        on request_rows.combination = members.combination
        and members.slice_set = {{ slice.index }}
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
        {{ safe_divide('ranked.positive_from', 'ranked.positive_from + ranked.negative_from') }} as precision_at_score,
        abs({{ safe_divide('ranked.positive_from', 'ranked.all_positive') }} - {{ safe_divide('ranked.negative_from', 'ranked.all_negative') }}) as separation,
        ranked.positive_from + ranked.negative_from - case
            when (ranked.positive_from + ranked.negative_from) * ranked.positive > (1e0 + 1e-9) * ranked.positive_squares
                then ranked.positive_squares / nullif(ranked.positive, 0e0)
            else 0e0
        end as weight_above,
        case
            when ranked.positive_from + ranked.negative_from > 0 then floor(8e0 * ln(ranked.positive_from + ranked.negative_from))
        end as bucket
    from ranked
),

buckets as (
    select
        placed.slice_id,
        placed.bucket,
        max(placed.separation) as separation,
        {% for side in ['positive', 'negative'] %}
        sum(placed.{{ side }}) as {{ side }},
        sum(placed.{{ side }}_squares) as {{ side }}_squares,
        sum(placed.{{ side }} * placed.{{ side }}_placement) as {{ side }}_placement,
        sum(placed.{{ side }}_squares * placed.{{ side }}_placement) as sq_{{ side }}_placement,
        sum(placed.{{ side }}_squares * placed.{{ side }}_placement * placed.{{ side }}_placement) as sq_{{ side }}_placement_squares,
        {% endfor %}
        sum(placed.positive * placed.precision_at_score) as precision_sum,
        sum(placed.positive_squares * placed.precision_at_score) as sq_precision,
        sum(placed.positive_squares * placed.precision_at_score * placed.precision_at_score) as sq_precision_squares,
        coalesce(sum({{ safe_divide('placed.positive', 'placed.weight_above') }}), 0e0) as gain,
        coalesce(sum({{ safe_divide('placed.positive * placed.precision_at_score', 'placed.weight_above') }}), 0e0) as loss,
        (count(*) + 1e0) / (2e0 * count(*)) as own_share
    from placed
    group by
        placed.slice_id,
        placed.bucket
),

summed as (
    select
        buckets.slice_id,
        {% for side in ['positive', 'negative'] %}
        buckets.{{ side }},
        buckets.{{ side }}_squares,
        buckets.{{ side }}_placement,
        buckets.sq_{{ side }}_placement,
        buckets.sq_{{ side }}_placement_squares,
        {% endfor %}
        buckets.separation,
        buckets.precision_sum,
        buckets.sq_precision,
        buckets.sq_precision_squares,
        sum(buckets.gain) over downwards - (1e0 - buckets.own_share) * buckets.gain as gain,
        sum(buckets.loss) over downwards - (1e0 - buckets.own_share) * buckets.loss as loss
    from buckets
    window
        downwards as (
            partition by buckets.slice_id
            order by buckets.bucket
            rows between current row and unbounded following
        )
),

sums as (
    select
        summed.slice_id,
        {% for side in ['positive', 'negative'] %}
        sum(summed.{{ side }}) as {{ side }},
        sum(summed.{{ side }}_squares) as {{ side }}_squares,
        sum(summed.{{ side }}_placement) as {{ side }}_placement,
        sum(summed.sq_{{ side }}_placement) as sq_{{ side }}_placement,
        sum(summed.sq_{{ side }}_placement_squares) as sq_{{ side }}_placement_squares,
        {% endfor %}
        max(summed.separation) as separation,
        sum(summed.precision_sum) as precision_sum,
        -- Squares of influence before the average precision is taken off that of each positive, and what is taken off.
        sum(
            summed.sq_precision_squares + 2e0 * (summed.gain - summed.loss) * summed.sq_precision
            + (summed.gain - summed.loss) * (summed.gain - summed.loss) * summed.positive_squares + summed.loss * summed.loss * summed.negative_squares
        ) as influence_squares,
        sum(summed.sq_precision + (summed.gain - summed.loss) * summed.positive_squares) as positive_influence
    from summed
    group by
        summed.slice_id
)

select
    slices.unit,
    slices.slice_set,
    slices.slice_value,
    case when sums.negative > 0 then {{ safe_divide('sums.positive_placement', 'sums.positive') }} end as roc_auc,
    {% for side in ['positive', 'negative'] %}
    {{ variance_of_weighted_mean('sums.' ~ side ~ '_placement', 'sums.' ~ side, 'sums.' ~ side ~ '_squares', 'sums.sq_' ~ side ~ '_placement', 'sums.sq_' ~ side ~ '_placement_squares') }}{% if loop.first %} + {% else %} as roc_auc_variance,{% endif %}

    {% endfor %}
    {{ safe_divide('sums.precision_sum', 'sums.positive') }} as average_precision,
    (
        sums.influence_squares - 2e0 * {{ safe_divide('sums.precision_sum', 'sums.positive') }} * sums.positive_influence
        + power({{ safe_divide('sums.precision_sum', 'sums.positive') }}, 2) * sums.positive_squares
    ) / case
        when sums.positive * sums.positive > (1e0 + 1e-12) * sums.positive_squares
            then sums.positive * sums.positive - sums.positive_squares
    end as average_precision_variance,
    {{ safe_divide('sums.positive * sums.positive', 'sums.positive_squares') }} as n_positive,
    -- Rounding of the sums goes no further than everything.
    case when sums.separation > 1e0 then 1e0 else sums.separation end as kolmogorov_smirnov
from sums
inner join wml_ranked_slices as slices
    on sums.slice_id = slices.slice_id
