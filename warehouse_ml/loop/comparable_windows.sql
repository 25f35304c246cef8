-- grain: one row per evaluation and mature window in which the champion was evaluated and that the candidate has not seen,
--        the newest of each evaluation
-- unit:  since and until are instants in UTC; windows are closed at the start, open at the end
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
),

numbered as (
    select
        windows.evaluation,
        windows.window_start,
        windows.window_end,
        row_number() over (
            partition by windows.evaluation
            order by windows.window_start desc
        ) as position
    from windows
    where windows.restated = 1
        and windows.is_mature
)

select
    numbered.evaluation,
    numbered.window_start,
    numbered.window_end
from numbered
where numbered.position <= {{ param('n_windows') }}
order by
    numbered.evaluation,
    numbered.window_start
