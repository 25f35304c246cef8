-- grain: one row per relation
-- unit:  durations in seconds
-- null:  n_rows is null for a view
delete from {{ 'builds' | wml }}
where relation = {{ param('relation') }};

insert into {{ 'builds' | wml }} (
    relation, materialized, definition_hash, inputs_hash, window_start, as_of, n_rows, duration_seconds, built_at
)
values (
    {{ param('relation') }},
    {{ param('materialized') }},
    {{ param('definition_hash') }},
    {{ param('inputs_hash') }},
    {{ param('window_start') }},
    {{ param('as_of') }},
    {{ param('n_rows') }},
    {{ param('duration_seconds') }},
    {{ param('built_at') }}
)
