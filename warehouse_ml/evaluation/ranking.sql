-- grain: one row per unit and slice in which a label is known; binary task without weights
-- unit:  roc_auc and average_precision in [0, 1], and their variances
-- null:  roc_auc where only one class is there, average_precision where no label is positive, a variance of fewer than two
-- Exact, ties count half. A row's placement is the share of the other class that its score beats (DeLong, DeLong and
-- Clarke-Pearson, 1988): the mean placement of the positives is the area, and the spread of placements its variance.
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
        rank() over slice_scores as first_rank,
        cume_dist() over slice_scores as last_share,
        rank() over class_scores as first_class_rank,
        cume_dist() over class_scores as last_class_share
    from sliced
    window
        slice_scores as (partition by sliced.slice_id order by sliced.score),
        class_scores as (
            partition by sliced.slice_id, sliced.label
            order by sliced.score
        )
),

counted as (
    select
        ranked.slice_id,
        ranked.label,
        ranked.first_rank,
        ranked.first_rank + round(ranked.last_share * (slices.n_positive + slices.n_negative)) as rank_sum,
        ranked.first_class_rank,
        ranked.last_class_share,
        slices.n_positive + slices.n_negative as n_rows,
        case when ranked.label = 1 then slices.n_positive else slices.n_negative end as n_class,
        case when ranked.label = 1 then slices.n_negative else slices.n_positive end as n_other
    from ranked
    inner join slices
        on ranked.slice_id = slices.slice_id
),

placed as (
    select
        counted.slice_id,
        counted.label,
        -- Ranks among all rows less ranks among the own class: the other class alone.
        (counted.rank_sum - counted.first_class_rank - round(counted.last_class_share * counted.n_class))
            / (2e0 * nullif(counted.n_other, 0e0)) as placement,
        (counted.n_class - counted.first_class_rank + 1) / (counted.n_rows - counted.first_rank + 1) as precision_at_score,
        counted.n_rows - counted.first_rank + 1 as n_from,
        floor(8e0 * ln(counted.n_rows - counted.first_rank + 1)) as bucket
    from counted
),

buckets as (
    select
        placed.slice_id,
        placed.bucket,
        {% for side, label in {'positive': 1, 'negative': 0}.items() %}
        sum(case when placed.label = {{ label }} then 1e0 else 0e0 end) as {{ side }},
        sum(case when placed.label = {{ label }} then placed.placement end) as {{ side }}_placement,
        sum(case when placed.label = {{ label }} then placed.placement * placed.placement end) as {{ side }}_placement_squares,
        {% endfor %}
        sum(case when placed.label = 1 then placed.precision_at_score else 0e0 end) as precision_sum,
        sum(case when placed.label = 1 then placed.precision_at_score * placed.precision_at_score else 0e0 end) as precision_squares,
        sum(case when placed.label = 1 then 1e0 / greatest(placed.n_from - 1e0, 1e0) else 0e0 end) as gain,
        sum(case when placed.label = 1 then placed.precision_at_score / greatest(placed.n_from - 1e0, 1e0) else 0e0 end) as loss,
        -- The share of its own bucket that stands at or below a row of it, on average.
        case when min(placed.n_from) = max(placed.n_from) then 1e0 else (count(*) + 1e0) / (2e0 * count(*)) end as own_share
    from placed
    group by
        placed.slice_id,
        placed.bucket
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
    areas.positive as n_positive
from areas
inner join slices
    on areas.slice_id = slices.slice_id
