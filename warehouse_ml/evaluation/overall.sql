-- grain: one row per unit and metric, over everything
-- unit:  as in metrics.sql
-- null:  as in metrics.sql
select
    {{ as_int('shown.unit') }} as unit,
    shown.metric,
    shown.value,
    shown.ci_lower,
    shown.ci_upper,
    shown.ci_method,
    shown.n
from wml_metric as shown
where shown.slice_set = 0
order by
    unit,
    shown.metric
