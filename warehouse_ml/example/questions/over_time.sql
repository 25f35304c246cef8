-- How did it do over the weeks?
select
    strftime(date_trunc('month', window_start), '%Y-%m') as month,
    round(min(value), 3) as worst_week,
    round(avg(value), 3) as auc,
    round(max(value), 3) as best_week,
    bar(avg(value), 0.5, 0.85, 30) as picture
from wml.latest_metrics
inner join wml.model_aliases using (model, version)
where
    metric = 'roc_auc'
    and slice_key = 'overall'
    and alias = 'champion'
    and window_start >= since
group by month
order by month
