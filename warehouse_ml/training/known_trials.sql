-- grain: one row per trial that an earlier run of the same search fitted itself
-- unit:  hyperparameters and metrics as JSON
-- null:  losses where there are none
select
    trials.run_id,
    trials.trial_id,
    trials.hyperparameters,
    trials.metrics,
    trials.training_loss,
    trials.eval_loss,
    trials.duration_seconds,
    trials.taken_from
from {{ 'trials' | wml }} as trials
where
    trials.search_hash = {{ param('search_hash') }}
    and trials.status = {{ param('status') }}
    and trials.taken_from is null
order by
    trials.run_id asc,
    trials.trial_id asc
