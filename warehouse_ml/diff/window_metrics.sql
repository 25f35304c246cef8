-- grain: one row per version, slice and metric of the windows just evaluated
-- unit:  as in wml.metrics
-- null:  as in wml.metrics
select
    metrics.version,
    metrics.slice_key,
    metrics.slice_value,
    metrics.metric,
    metrics.value,
    metrics.ci_lower,
    metrics.ci_upper,
    metrics.n,
    metrics.better
from {{ 'metrics' | wml }} as metrics
where metrics.evaluation_id in ({{ evaluations | map('literal') | join(', ') }})
