-- grain: one row per flight that arrived before it left, or arrived without having left
-- unit:  *_at are instants in UTC
-- null:  departed_at, when the flight arrived without having left

select
    scheduled_flights.request_id,
    scheduled_flights.departed_at,
    scheduled_flights.arrived_at
from {{ ref('scheduled_flights') }} as scheduled_flights
where
    scheduled_flights.arrived_at <= scheduled_flights.departed_at
    or (scheduled_flights.arrived_at is not null and scheduled_flights.departed_at is null)
