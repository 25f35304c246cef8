-- grain: one row per due version and window
-- unit:  is_replacement tells of a row of the same as_of, to be written anew
-- null:  as in due.sql
select
    {{ as_int('due.unit') }} as unit,
    due.evaluation_id,
    due.version,
    due.window_start,
    due.window_end,
    {{ as_int('due.n_requests') }} as n_requests,
    {{ as_int('due.n_labelled') }} as n_labelled,
    due.is_mature,
    {{ as_int('due.n_versions') }} as n_versions,
    due.evaluation_id in (select evaluations.evaluation_id from {{ 'evaluations' | wml }} as evaluations) as is_replacement
from wml_due as due
order by due.unit
