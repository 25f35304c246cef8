-- grain: one row, the build that wrote the request's row last before it was answered; none if it was never written down
-- unit:  timestamps are instants in UTC
-- null:  window_start of what is not incremental
select
    build_history.relation,
    build_history.definition_hash,
    build_history.window_start,
    build_history.as_of,
    build_history.built_at
from {{ 'build_history' | wml }} as build_history
where
    build_history.as_of <= {{ param('logged_at') }}
    and (
        build_history.window_start is null
        or (
            build_history.window_start <= {{ param('requested_at') }}
            and build_history.as_of > {{ param('requested_at') }}
        )
    )
    and ({{ param('definition_hash') }} is null or build_history.definition_hash = {{ param('definition_hash') }})
    and (
        {{ param('definition_hash') }} is not null
        or lower(build_history.relation) = lower({{ param('relation') }})
    )
order by build_history.built_at desc
limit 1
