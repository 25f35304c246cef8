-- grain: one row per training run and metric
-- unit:  as in wml.metrics; intervals at 95 %
-- null:  as in wml.metrics; version where none was published
insert into {{ 'held_out_metrics' | wml }} (
    run_id, model, version, as_of, task, label, comparable_group, metric, value, ci_lower, ci_upper, ci_method, n, better
)
select
    {{ param('run_id') }} as run_id,
    {{ param('model') }} as model,
    {{ as_int(param('version')) }} as version,
    {{ param('as_of') }} as as_of,
    {{ param('task') }} as task,
    {{ param('label') }} as label,
    {{ param('comparable_group') }} as comparable_group,
    measured.metric,
    measured.value,
    measured.ci_lower,
    measured.ci_upper,
    measured.ci_method,
    measured.n,
    measured.better
from {{ metrics | ident }} as measured
