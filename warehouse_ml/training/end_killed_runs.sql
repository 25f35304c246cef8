-- grain: the runs of a model that are said to go on and do not
-- unit:  none
-- null:  duration_seconds, as nobody saw the end
update {{ 'training_runs' | wml }}
set
    status = {{ param('failed') }},
    error = {{ param('error') }}
where
    model = {{ param('model') }}
    and status = {{ param('running') }}
