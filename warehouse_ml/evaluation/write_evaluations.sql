-- grain: one row per evaluation, version, window and as_of
-- unit:  label_coverage in [0, 1]
-- null:  window_start and window_end where the window is everything
insert into {{ 'evaluations' | wml }} (
    evaluation_id,
    evaluation,
    model,
    version,
    window_start,
    window_end,
    as_of,
    n_requests,
    n_labelled,
    label_coverage,
    is_mature,
    content_hash,
    definition_hash
)
select
    due.evaluation_id,
    {{ param('evaluation') }} as evaluation,
    {{ param('model') }} as model,
    due.version,
    due.window_start,
    due.window_end,
    {{ param('as_of') }} as as_of,
    due.n_requests,
    due.n_labelled,
    {{ safe_divide('due.n_labelled', 'due.n_requests') }} as label_coverage,
    due.is_mature,
    due.content_hash,
    {{ param('definition_hash') }} as definition_hash
from wml_due as due
