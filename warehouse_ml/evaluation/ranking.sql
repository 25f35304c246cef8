-- grain: one row per unit and slice in which a label is known; binary task without weights
-- unit:  roc_auc and average_precision in [0, 1]; n_* count rows
-- null:  roc_auc where only one class is there, average_precision where no label is positive
-- Exact, ties count half. A row's placement is the share of the other class that its score beats (DeLong, DeLong and
-- Clarke-Pearson, 1988): the mean placement of the positives is the area, and the spread of placements its variance.
{{ create_scratch('wml_ranking') }}
with sliced as (
    {% for slice in slices %}
    select
        request_rows.unit,
        {{ loop.index0 }} as slice_set,
        {{ slice_text(slice.names) }} as slice_value,
        request_rows.label,
        request_rows.score
    from wml_rows as request_rows
    where request_rows.label is not null
        and request_rows.score is not null
    {% if not loop.last %}
    union all
    {% endif %}
    {% endfor %}
),

ranked as (
    select
        sliced.unit,
        sliced.slice_set,
        sliced.slice_value,
        sliced.label,
        count(*) over slice_rows as n_rows,
        count(*) over class_rows as n_class,
        rank() over slice_scores as first_rank,
        cume_dist() over slice_scores as last_share,
        rank() over class_scores as first_class_rank,
        cume_dist() over class_scores as last_class_share
    from sliced
    window
        slice_rows as (partition by sliced.unit, sliced.slice_set, sliced.slice_value),
        slice_scores as (partition by sliced.unit, sliced.slice_set, sliced.slice_value order by sliced.score),
        class_rows as (partition by sliced.unit, sliced.slice_set, sliced.slice_value, sliced.label),
        class_scores as (
            partition by sliced.unit, sliced.slice_set, sliced.slice_value, sliced.label
            order by sliced.score
        )
),

placed as (
    select
        ranked.unit,
        ranked.slice_set,
        ranked.slice_value,
        ranked.label,
        (
            (ranked.first_rank + round(ranked.last_share * ranked.n_rows)) / 2e0
            - (ranked.first_class_rank + round(ranked.last_class_share * ranked.n_class)) / 2e0
        ) / nullif(ranked.n_rows - ranked.n_class, 0) as placement,
        (ranked.n_class - ranked.first_class_rank + 1) / {{ as_double('ranked.n_rows - ranked.first_rank + 1') }}
            as precision_at_score
    from ranked
)

select
    placed.unit,
    placed.slice_set,
    placed.slice_value,
    avg(case when placed.label = 1 then placed.placement end) as roc_auc,
    var_samp(case when placed.label = 1 then placed.placement end)
        / nullif(count(case when placed.label = 1 then placed.placement end), 0)
        + var_samp(case when placed.label = 0 then placed.placement end)
        / nullif(count(case when placed.label = 0 then placed.placement end), 0) as roc_auc_variance,
    avg(case when placed.label = 1 then placed.precision_at_score end) as average_precision
from placed
group by
    placed.unit,
    placed.slice_set,
    placed.slice_value
