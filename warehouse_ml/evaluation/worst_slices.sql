-- grain: one row per evaluation_id and slice that is worse than the overall row
-- unit:  difference is the slice's value less the overall one, in the metric's unit
-- null:  none
with headline as (
    select
        metrics.evaluation_id,
        metrics.slice_key,
        metrics.slice_value,
        metrics.metric,
        metrics.value,
        metrics.ci_lower,
        metrics.ci_upper,
        metrics.n,
        case metrics.metric when 'mean_absolute_error' then -1 else 1 end as direction,
        -- Every task has its own: recall is there for two classes only, accuracy for two and more.
        rank() over (
            partition by metrics.evaluation_id
            order by case metrics.metric when 'recall' then 0 when 'mean_absolute_error' then 0 else 1 end
        ) as choice
    from {{ 'metrics' | wml }} as metrics
    where metrics.metric in ('recall', 'mean_absolute_error', 'accuracy')
        and metrics.evaluation_id in ({% for id in ids %}{{ param(id) }}{% if not loop.last %}, {% endif %}{% endfor %})
),

compared as (
    select
        headline.evaluation_id,
        headline.slice_key,
        headline.slice_value,
        headline.metric,
        headline.value,
        headline.ci_lower,
        headline.ci_upper,
        headline.n,
        overall.value as overall_value,
        headline.value - overall.value as difference,
        (headline.value - overall.value) * headline.direction as gain,
        coalesce(headline.ci_upper < overall.ci_lower or headline.ci_lower > overall.ci_upper, false) as is_apart
    from headline
    inner join headline as overall
        on headline.evaluation_id = overall.evaluation_id
        and headline.metric = overall.metric
        and overall.slice_key = 'overall'
    where headline.choice = 1
        and headline.slice_key <> 'overall'
        and headline.value is not null
),

placed as (
    select
        compared.evaluation_id,
        compared.slice_key,
        compared.slice_value,
        compared.metric,
        compared.value,
        compared.ci_lower,
        compared.ci_upper,
        compared.n,
        compared.overall_value,
        compared.difference,
        compared.is_apart,
        row_number() over (
            partition by compared.evaluation_id
            order by case when compared.is_apart then 0 else 1 end, compared.gain, compared.slice_key, compared.slice_value
        ) as position
    from compared
    where compared.gain < 0
)

select
    placed.evaluation_id,
    placed.slice_key,
    placed.slice_value,
    placed.metric,
    placed.value,
    placed.ci_lower,
    placed.ci_upper,
    placed.n,
    placed.overall_value,
    placed.difference,
    placed.is_apart
from placed
where placed.position <= {{ param('n_slices') }}
order by
    placed.evaluation_id,
    placed.position
