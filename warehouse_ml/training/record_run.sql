-- grain: one row per run of a training; what was written of it before is replaced
-- unit:  durations in seconds
-- null:  version is null where none was published; error is null where the run finished; duration_seconds while it runs
delete from {{ 'training_runs' | wml }}
where run_id = {{ param('run_id') }};

insert into {{ 'training_runs' | wml }} (
    run_id, model, version, as_of, started_at, duration_seconds, status, error, options, metrics, n_rows, definition_hash,
    data_hash
)
values (
    {{ param('run_id') }},
    {{ param('model') }},
    {{ as_int(param('version')) }},
    {{ param('as_of') }},
    {{ param('started_at') }},
    {{ as_double(param('duration_seconds')) }},
    {{ param('status') }},
    {{ param('error') }},
    {{ param('options') }},
    {{ param('metrics') }},
    {{ as_int(param('n_rows')) }},
    {{ param('definition_hash') }},
    {{ param('data_hash') }}
)
