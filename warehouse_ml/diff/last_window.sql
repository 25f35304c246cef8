-- grain: at most one row: the latest window of an evaluation that has answers, a mature one before any other
-- unit:  instants in UTC; as_of is the clock of the evaluation that ran last
-- null:  window_start and window_end where the window is everything
select
    evaluations.window_start,
    evaluations.window_end,
    evaluations.is_mature,
    max(evaluations.as_of) over () as as_of
from {{ 'evaluations' | wml }} as evaluations
where
    evaluations.evaluation = {{ param('evaluation') }}
    and evaluations.n_labelled > 0
order by
    case when evaluations.is_mature then 0 else 1 end asc,
    evaluations.window_end desc,
    evaluations.as_of desc
limit 1
