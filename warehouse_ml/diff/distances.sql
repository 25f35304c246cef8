-- grain: one row per column and distance
-- unit:  as in wml.drift
-- null:  as in wml.drift
select
    drift.input,
    drift.metric,
    drift.value,
    drift.is_anomaly
from {{ 'drift' | wml }} as drift
where drift.evaluation_id = {{ param('name') }}
