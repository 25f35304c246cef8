-- grain: one row per run of a training
-- unit:  durations in seconds
-- null:  version is null where none was published; error is null where the run finished
insert into {{ 'training_runs' | wml }} (
    run_id, model, version, as_of, started_at, duration_seconds, status, error, options, metrics, n_rows
)
values (
    {{ param('run_id') }},
    {{ param('model') }},
    {{ param('version') }},
    {{ param('as_of') }},
    {{ param('started_at') }},
    {{ param('duration_seconds') }},
    {{ param('status') }},
    {{ param('error') }},
    {{ param('options') }},
    {{ param('metrics') }},
    {{ param('n_rows') }}
)
