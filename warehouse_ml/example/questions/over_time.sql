-- How did it do over the weeks?
select
    left(cast(metrics.window_start as string), 7) as month,
    round(min(metrics.value), 3) as worst_week,
    round(avg(metrics.value), 3) as auc,
    round(max(metrics.value), 3) as best_week,
    repeat('█', cast(round(80 * (avg(metrics.value) - 0.5)) as int64)) as picture
from wml.latest_metrics as metrics
inner join wml.alias_periods as champions
    on metrics.model = champions.model and metrics.version = champions.version
where
    champions.alias = 'champion'
    and metrics.window_start >= champions.since
    and (champions.until is null or metrics.window_start < champions.until)
    and metrics.metric = 'roc_auc'
    and metrics.slice_key = 'overall'
group by month
order by month
