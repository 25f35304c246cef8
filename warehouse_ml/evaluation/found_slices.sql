-- grain: one row per evaluation_id, metric and slice that a search found, the worst of each metric
-- unit:  as in write_search.sql
-- null:  as in write_search.sql
select
    found.evaluation_id,
    found.metric,
    found.slice_key,
    found.slice_value,
    found.n,
    found.value,
    found.rest_value,
    found.ci_lower,
    found.ci_upper,
    found.p_adjusted
from {{ 'worst_slices' | wml }} as found
where found.evaluation_id in ({% for id in ids %}{{ param(id) }}{% if not loop.last %}, {% endif %}{% endfor %})
    and found.rank <= {{ param('n_slices') }}
order by
    found.evaluation_id,
    found.metric,
    found.rank
