{{ config(
    materialized='view',
    entity='request_id',
    event_time='known_at',
    known_at='known_at',
) }}
-- grain: one row per flight that has arrived
-- unit:  is_late is true at 15 minutes or more; known_at is the arrival, in UTC
-- null:  never; a cancelled or diverted flight has no row, now or later

with final as (
    select
        scheduled_flights.request_id,
        scheduled_flights.arrival_delay_minutes >= {{ var('late_minutes') }} as is_late,
        scheduled_flights.arrival_delay_minutes,
        scheduled_flights.arrived_at as known_at
    from {{ ref('scheduled_flights') }} as scheduled_flights
    where scheduled_flights.arrived_at < {{ as_of }}
)

select
    final.request_id,
    final.is_late,
    final.arrival_delay_minutes,
    final.known_at
from final
