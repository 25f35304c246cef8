-- Did it get better with the retrained versions?
select
    served.version as champion,
    former.version as former_champion,
    count(*) as weeks,
    round(avg(served.value), 4) as auc,
    round(avg(former.value), 4) as auc_of_former,
    sum(case when served.value > former.value then 1 else 0 end) as weeks_won
from wml.latest_metrics as served
inner join wml.latest_metrics as former
    on
        served.window_start = former.window_start
        and served.version > former.version
        and served.metric = former.metric
        and served.slice_key = former.slice_key
where
    served.metric = 'roc_auc'
    and served.slice_key = 'overall'
group by
    served.version,
    former.version
-- Two versions that shared the week of a change alone do not compare.
having count(*) > 2
order by
    served.version
