-- Whose late flights are missed most?
select
    slice_key,
    slice_value,
    round(avg(value), 3) as recall,
    round(min(value), 3) as worst_week,
    round(max(value), 3) as best_week,
    count(*) as weeks,
    cast(sum(denominator) as bigint) as late_flights
from wml.latest_metrics
inner join wml.evaluations using (evaluation_id)
where
    metric = 'recall'
    and slice_key in ('overall', 'plane_size', 'market', 'carrier')
    and is_mature
    and value is not null
group by
    slice_key,
    slice_value
order by recall
limit 8
