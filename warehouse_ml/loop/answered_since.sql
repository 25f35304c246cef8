-- grain: one row
-- unit:  counts of requests; last_at is an instant in UTC
-- null:  last_at where there are none
select
    count(*) as n_requests,
    max(logged.requested_at) as last_at
from {{ log | ident }} as logged
where logged.requested_at >= {{ param('at') }}
    and logged.alias in ({% for alias in serving %}{{ alias | literal }}{% if not loop.last %}, {% endif %}{% endfor %})
