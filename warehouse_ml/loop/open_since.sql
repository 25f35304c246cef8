{%- set is_after_closed = is_after_closed | default(false) -%}
-- grain: one row
-- unit:  an instant in UTC
-- null:  nothing has been evaluated to its end
--
-- A window is closed once it was evaluated when mature, under the definition of today. A version's closed windows count
-- only if they hold as many requests as the log does up to their end: a request that came late opens them again.
{% if is_after_closed %}
-- Read from the end of all closed windows on. A log is only added to, so the rows before it are those of closed windows as
-- long as there are as many: `is_settled`. How many a table has in all is known without reading any column of it.
{% endif %}
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
{% if is_after_closed %}
    where logged.requested_at >= {{ param('closed_until') }}
{% endif %}
    group by logged.version
)

-- A version that nobody asks any more is closed for good; if all are, so is everything up to the last window's end.
{% if is_after_closed %}
select
    coalesce(
        min(coalesce(logged_versions.closed_until, logged_versions.first_requested_at)),
        {{ param('closed_until') }}
    ) as open_since,
    coalesce(sum(logged_versions.n_requests), 0)
    + (
        select coalesce(sum(closed_versions.n_requests), 0)
        from closed_versions
        where closed_versions.version is not null
    )
    = (
        select count(*)
        from {{ log | ident }}
    ) as is_settled
from logged_versions
{% else %}
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
{% endif %}
