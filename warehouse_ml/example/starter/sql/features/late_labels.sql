-- grain: one row per flight that has arrived by the clock
-- unit:  is_late is true from 15 minutes on; known_at is an instant in UTC
-- null:  a flight that was cancelled or diverted has no row

select
    flights.carrier || '-' || {{ as_string('flights.flight') }} || '-' || flights.origin || '-'
    || {{ as_string('flights.departure_date') }} as request_id,
    flights.arr_delay >= 15 as is_late,
    flights.arrived_at as known_at
from {{ source('flights') }} as flights
where
    flights.arr_delay is not null
    and flights.arrived_at < {{ as_of }}
