-- Whose late flights are missed most?
select
    metrics.slice_key,
    metrics.slice_value,
    round(avg(metrics.value), 3) as recall,
    round(min(metrics.value), 3) as worst_week,
    round(max(metrics.value), 3) as best_week,
    count(*) as weeks,
    cast(sum(metrics.denominator) as bigint) as late_flights
from wml.latest_metrics as metrics
asof inner join wml.model_aliases as aliases
    on metrics.model = aliases.model and aliases.alias = 'champion' and metrics.window_start >= aliases.since
where
    metrics.version = aliases.version
    and metrics.metric = 'recall'
    and metrics.slice_key in ('overall', 'plane_size', 'market', 'carrier')
    and metrics.value is not null
group by
    metrics.slice_key,
    metrics.slice_value
order by recall
limit 8
