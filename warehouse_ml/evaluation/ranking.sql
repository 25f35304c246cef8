-- grain: one row per unit and slice in which a label is known; binary task without weights
-- unit:  roc_auc, average_precision and kolmogorov_smirnov in [0, 1], and the variances of the first two
-- null:  roc_auc and kolmogorov_smirnov where only one class is there, average_precision where no label is positive, a variance of fewer than two
-- Exact, ties count half. A row's placement is the share of the other class that its score beats (DeLong, DeLong and
-- Clarke-Pearson, 1988): the mean placement of the positives is the area, and the spread of placements its variance.
-- The negatives need no ranks among themselves. A negative's placement counts the positives that it beats, and the sum of
-- its squares over the negatives is one over pairs of positives, of the negatives above both: those above the larger.
-- A row moves average precision by its own precision and by the precisions of the positives at and below it, which are
-- those without it (delete-one: the infinitesimal form is too small near the top). Sums over those are taken of buckets
-- of the rank from the top, an eighth of a natural logarithm wide: a variance needs no more.
{{ create_scratch('wml_ranking') }}
with slices as (
    select
        bins.unit,
        bins.slice_set,
        bins.slice_value,
        {{ as_double('sum(case when bins.label = 1 then bins.n_scored else 0 end)') }} as n_positive,
        {{ as_double('sum(case when bins.label = 0 then bins.n_scored else 0 end)') }} as n_negative,
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
        request_rows.score
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

ranked as (
    select
        sliced.slice_id,
        sliced.label,
        slices.n_positive,
        slices.n_negative,
        sliced.first_rank,
        round(sliced.last_share * (slices.n_positive + slices.n_negative)) as last_rank,
        slices.n_positive + slices.n_negative - sliced.first_rank + 1 as n_from,
        floor(8e0 * ln(slices.n_positive + slices.n_negative - sliced.first_rank + 1)) as bucket
    from (
        select
            sliced.slice_id,
            sliced.label,
            rank() over slice_scores as first_rank,
            cume_dist() over slice_scores as last_share
        from sliced
        window slice_scores as (partition by sliced.slice_id order by sliced.score)
    ) as sliced
    inner join slices
        on sliced.slice_id = slices.slice_id
),

positives as (
    select
        ranked.slice_id,
        ranked.n_positive,
        ranked.n_negative,
        ranked.first_rank,
        ranked.last_rank,
        ranked.n_from,
        ranked.bucket,
        rank() over positive_scores as first_class_rank,
        round(cume_dist() over positive_scores * ranked.n_positive) as last_class_rank
    from ranked
    where ranked.label = 1
    window positive_scores as (partition by ranked.slice_id order by ranked.first_rank)
),

placed as (
    select
        positives.slice_id,
        positives.bucket,
        positives.n_from,
        positives.n_positive,
        positives.n_negative,
        (positives.n_positive - positives.first_class_rank + 1) / positives.n_from as precision_at_score,
        positives.first_class_rank - 1 as positives_below,
        positives.last_class_rank - positives.first_class_rank + 1 as positives_equal,
        positives.n_negative - (positives.last_rank - positives.last_class_rank) as negatives_above,
        positives.last_rank - positives.last_class_rank - positives.first_rank + positives.first_class_rank as negatives_equal
    from positives
),

-- What beats a positive among the negatives, ties as half.
beaten as (
    select
        placed.slice_id,
        placed.bucket,
        placed.n_from,
        placed.n_positive,
        placed.precision_at_score,
        placed.positives_below,
        placed.positives_equal,
        placed.negatives_above,
        placed.negatives_equal,
        placed.negatives_above + placed.negatives_equal / 2e0 as negatives_ahead,
        -- The shares at and above a threshold are furthest apart at a positive's score, or just above one.
        greatest(
            abs(
                {{ safe_divide('placed.n_positive - placed.positives_below', 'placed.n_positive') }}
                - {{ safe_divide('placed.negatives_above + placed.negatives_equal', 'placed.n_negative') }}
            ),
            abs(
                {{ safe_divide('placed.n_positive - placed.positives_below - placed.positives_equal', 'placed.n_positive') }}
                - {{ safe_divide('placed.negatives_above', 'placed.n_negative') }}
            )
        ) as separation,
        1e0 - {{ safe_divide('placed.negatives_above + placed.negatives_equal / 2e0', 'placed.n_negative') }} as placement
    from placed
),

positive_buckets as (
    select
        beaten.slice_id,
        beaten.bucket,
        sum(beaten.placement) as placement,
        max(beaten.separation) as separation,
        sum(beaten.placement * beaten.placement) as placement_squares,
        sum(beaten.negatives_ahead / beaten.n_positive) as negative_placement,
        sum(
            (
                2e0 * beaten.positives_below * beaten.negatives_ahead
                + beaten.positives_equal * (beaten.negatives_above + beaten.negatives_equal / 4e0)
            ) / (beaten.n_positive * beaten.n_positive)
        ) as negative_placement_squares,
        sum(beaten.precision_at_score) as precision_sum,
        sum(beaten.precision_at_score * beaten.precision_at_score) as precision_squares,
        sum(1e0 / greatest(beaten.n_from - 1e0, 1e0)) as gain,
        sum(beaten.precision_at_score / greatest(beaten.n_from - 1e0, 1e0)) as loss
    from beaten
    group by
        beaten.slice_id,
        beaten.bucket
),

all_buckets as (
    select
        ranked.slice_id,
        ranked.bucket,
        sum(ranked.label) as positive,
        sum(1e0 - ranked.label) as negative,
        -- The share of its own bucket that stands at or below a row of it, on average.
        case when min(ranked.n_from) = max(ranked.n_from) then 1e0 else (count(*) + 1e0) / (2e0 * count(*)) end as own_share
    from ranked
    group by
        ranked.slice_id,
        ranked.bucket
),

buckets as (
    select
        all_buckets.slice_id,
        all_buckets.bucket,
        all_buckets.positive,
        all_buckets.negative,
        all_buckets.own_share,
        positive_buckets.placement as positive_placement,
        positive_buckets.placement_squares as positive_placement_squares,
        positive_buckets.separation,
        positive_buckets.negative_placement,
        positive_buckets.negative_placement_squares,
        {% for name in ['precision_sum', 'precision_squares', 'gain', 'loss'] %}
        coalesce(positive_buckets.{{ name }}, 0e0) as {{ name }}{% if not loop.last %},{% endif %}

        {% endfor %}
    from all_buckets
    left join positive_buckets
        on all_buckets.slice_id = positive_buckets.slice_id
        and all_buckets.bucket = positive_buckets.bucket
),

summed as (
    select
        buckets.slice_id,
        buckets.positive,
        buckets.negative,
        buckets.positive_placement,
        buckets.negative_placement,
        buckets.positive_placement_squares,
        buckets.negative_placement_squares,
        buckets.separation,
        buckets.precision_sum,
        buckets.precision_squares,
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

areas as (
    select
        summed.slice_id,
        {% for side in ['positive', 'negative'] %}
        sum(summed.{{ side }}) as {{ side }},
        sum(summed.{{ side }}_placement) as {{ side }}_placement,
        sum(summed.{{ side }}_placement_squares) as {{ side }}_placement_squares,
        {% endfor %}
        max(summed.separation) as separation,
        sum(summed.precision_sum) as precision_sum,
        -- Squares of influence before the average precision is taken off that of each positive, and what is taken off.
        sum(
            summed.precision_squares + 2e0 * (summed.gain - summed.loss) * summed.precision_sum
            + (summed.gain - summed.loss) * (summed.gain - summed.loss) * summed.positive + summed.loss * summed.loss * summed.negative
        ) as influence_squares,
        sum(summed.precision_sum + (summed.gain - summed.loss) * summed.positive) as positive_influence
    from summed
    group by summed.slice_id
)

select
    slices.unit,
    slices.slice_set,
    slices.slice_value,
    areas.positive_placement / nullif(areas.positive, 0e0) as roc_auc,
    {% for side in ['positive', 'negative'] %}
    (areas.{{ side }}_placement_squares - areas.{{ side }}_placement * areas.{{ side }}_placement / nullif(areas.{{ side }}, 0e0))
        / nullif(areas.{{ side }} * (areas.{{ side }} - 1e0), 0e0){% if loop.first %} + {% else %} as roc_auc_variance,{% endif %}

    {% endfor %}
    areas.precision_sum / nullif(areas.positive, 0e0) as average_precision,
    (
        areas.influence_squares - 2e0 * areas.precision_sum / nullif(areas.positive, 0e0) * areas.positive_influence
        + areas.precision_sum * areas.precision_sum / nullif(areas.positive, 0e0)
    ) / nullif(areas.positive * (areas.positive - 1e0), 0e0) as average_precision_variance,
    areas.positive as n_positive,
    areas.separation as kolmogorov_smirnov
from areas
inner join slices
    on areas.slice_id = slices.slice_id
