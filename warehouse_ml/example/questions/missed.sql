-- Whose late flights are missed most?
select
    metrics.slice_key,
    metrics.slice_value,
    round(avg(metrics.value), 3) as recall,
    round(min(metrics.value), 3) as worst_week,
    round(max(metrics.value), 3) as best_week,
    count(*) as weeks,
    cast(sum(metrics.denominator) as int64) as late_flights
from wml.latest_metrics as metrics
inner join wml.alias_periods as champions
    on metrics.model = champions.model and metrics.version = champions.version
where
    champions.alias = 'champion'
    and metrics.window_start >= champions.since
    and (champions.until is null or metrics.window_start < champions.until)
    and metrics.metric = 'recall'
    and metrics.slice_key in ('overall', 'plane_size', 'market', 'carrier')
    and metrics.value is not null
group by
    metrics.slice_key,
    metrics.slice_value
order by recall
limit 8
