-- grain: one row per metric of the champion
-- unit:  as in wml.comparisons
-- null:  difference and what is told of it where a metric is not compared in pairs
select
    metrics.metric,
    metrics.value as other_value,
    compared.difference,
    compared.ci_lower,
    compared.ci_upper,
    compared.p_value,
    compared.n_pairs,
    compared.n_flips
from {{ 'metrics' | wml }} as metrics
left join {{ 'comparisons' | wml }} as compared
    on metrics.metric = compared.metric
    and metrics.evaluation = compared.evaluation
    and metrics.as_of = compared.as_of
    and metrics.slice_key = compared.slice_key
where
    metrics.evaluation = {{ param('evaluation') }}
    and metrics.as_of = {{ param('as_of') }}
    and metrics.version = {{ param('version') }}
    and metrics.slice_key = 'overall'
order by
    metrics.metric
