-- grain: one row per evaluation and mature window in which the champion was evaluated and that the candidate has not seen
-- unit:  window_start and window_end are instants in UTC; windows are closed at the start, open at the end
-- null:  window_start and window_end where the window is everything
with windows as (
    select
        evaluations.evaluation,
        evaluations.window_start,
        evaluations.window_end,
        evaluations.is_mature,
        row_number() over (
            partition by evaluations.evaluation, evaluations.window_start
            order by evaluations.as_of desc
        ) as restated
    from {{ 'evaluations' | wml }} as evaluations
    where evaluations.model = {{ param('model') }}
        and evaluations.version = {{ param('champion') }}
        and evaluations.as_of <= {{ param('as_of') }}
        and (evaluations.window_start is null or evaluations.window_start >= {{ param('unseen_since') }})
)

select
    windows.evaluation,
    windows.window_start,
    windows.window_end
from windows
where windows.restated = 1
    and windows.is_mature
order by
    windows.evaluation,
    windows.window_start desc
