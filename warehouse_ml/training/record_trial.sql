-- grain: one row per hyperparameter trial of a training run
-- unit:  hyperparameters and metrics as JSON; durations in seconds
-- null:  error is null where the trial succeeded; taken_from where this run fitted it itself
insert into {{ 'trials' | wml }} (
    run_id, model, trial_id, hyperparameters, metrics, status, error, is_optimal, duration_seconds, training_loss, eval_loss,
    search_hash, taken_from
)
values (
    {{ param('run_id') }},
    {{ param('model') }},
    {{ param('trial_id') }},
    {{ param('hyperparameters') }},
    {{ param('metrics') }},
    {{ param('status') }},
    {{ param('error') }},
    {{ param('is_optimal') }},
    {{ as_double(param('duration_seconds')) }},
    {{ as_double(param('training_loss')) }},
    {{ as_double(param('eval_loss')) }},
    {{ param('search_hash') }},
    {{ param('taken_from') }}
)
