-- grain: one row
-- unit:  an instant in UTC
-- null:  nothing has been evaluated to its end
--
-- A window is closed once it was evaluated when mature, under the definition of today. A version's closed windows count
-- only if they hold as many requests as the log does up to their end: a request that came late opens them again.
with closed as (
    select
        evaluations.version,
        evaluations.window_end,
        evaluations.n_requests
    from {{ 'evaluations' | wml }} as evaluations
    where
        evaluations.evaluation = {{ param('evaluation') }}
        and evaluations.definition_hash = {{ param('definition_hash') }}
        and evaluations.is_mature
        and evaluations.window_end is not null
    qualify row_number() over (
        partition by evaluations.version, evaluations.window_start
        order by evaluations.as_of desc
    ) = 1
),

closed_versions as (
    select
        closed.version,
        max(closed.window_end) as closed_until,
        sum(closed.n_requests) as n_requests
    from closed
    group by closed.version
),

logged_versions as (
    select
        logged.version,
        min(logged.requested_at) as first_requested_at,
        max(closed_versions.closed_until) as closed_until,
        max(closed_versions.n_requests) as n_closed,
        {{ count_where('logged.requested_at < closed_versions.closed_until') }} as n_logged,
        count(*) as n_requests
    from {{ log | ident }} as logged
    left join closed_versions
        on logged.version = closed_versions.version
    group by logged.version
)

-- A version that nobody asks any more is closed for good; if all are, so is everything up to the last window's end.
select
    coalesce(
        min(
            case
                when logged_versions.n_closed = logged_versions.n_requests then null
                when logged_versions.n_closed = logged_versions.n_logged then logged_versions.closed_until
                else logged_versions.first_requested_at
            end
        ),
        max(logged_versions.closed_until)
    ) as open_since
from logged_versions
