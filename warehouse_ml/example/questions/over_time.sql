-- How did it do over the weeks?
select
    strftime(date_trunc('month', metrics.window_start), '%Y-%m') as month,
    round(min(metrics.value), 3) as worst_week,
    round(avg(metrics.value), 3) as auc,
    round(max(metrics.value), 3) as best_week,
    bar(avg(metrics.value), 0.5, 0.85, 30) as picture
from wml.latest_metrics as metrics
asof inner join wml.model_aliases as aliases
    on metrics.model = aliases.model and aliases.alias = 'champion' and metrics.window_start >= aliases.since
where
    metrics.version = aliases.version
    and metrics.metric = 'roc_auc'
    and metrics.slice_key = 'overall'
group by month
order by month
