-- grain: one row
-- unit:  an instant in UTC, where the last closed window of any version ends
-- null:  no window is closed
select max(evaluations.window_end) as closed_until
from {{ 'evaluations' | wml }} as evaluations
where
    evaluations.evaluation = {{ param('evaluation') }}
    and evaluations.definition_hash = {{ param('definition_hash') }}
    and evaluations.is_mature
    and evaluations.version is not null
