-- grain: one row per unit and slice in which a label is known; binary task without weights
-- unit:  roc_auc and average_precision in [0, 1]; n_* count rows
-- null:  roc_auc where only one class is there, average_precision where no label is positive
-- Exact, ties count half. A row's placement is the share of the other class that its score beats (DeLong, DeLong and
-- Clarke-Pearson, 1988): the mean placement of the positives is the area, and the spread of placements its variance.
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
        (counted.n_class - counted.first_class_rank + 1) / (counted.n_rows - counted.first_rank + 1) as precision_at_score
    from counted
),

areas as (
    select
        placed.slice_id,
        avg(case when placed.label = 1 then placed.placement end) as roc_auc,
        var_samp(case when placed.label = 1 then placed.placement end)
            / nullif(count(case when placed.label = 1 then placed.placement end), 0)
            + var_samp(case when placed.label = 0 then placed.placement end)
            / nullif(count(case when placed.label = 0 then placed.placement end), 0) as roc_auc_variance,
        avg(case when placed.label = 1 then placed.precision_at_score end) as average_precision
    from placed
    group by placed.slice_id
)

select
    slices.unit,
    slices.slice_set,
    slices.slice_value,
    areas.roc_auc,
    areas.roc_auc_variance,
    areas.average_precision
from areas
inner join slices
    on areas.slice_id = slices.slice_id
