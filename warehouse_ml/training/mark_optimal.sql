-- grain: the one trial of a run whose model was kept
-- unit:  none
-- null:  never null
update {{ 'trials' | wml }}
set is_optimal = true
where
    run_id = {{ param('run_id') }}
    and trial_id = {{ param('trial_id') }}
