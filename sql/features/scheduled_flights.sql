{{ config(materialized='table') }}
-- grain: one row per scheduled flight, flown or not
-- unit:  *_at are instants in UTC; *_minutes are minutes, negative when early
-- null:  departed_at when the flight was cancelled; arrived_at when it was cancelled or diverted
--
-- The schedule and the plane are known before the flight (the data has no moment at which a plane was assigned: the one that flew is taken
-- to be the one that was planned). departed_at and arrived_at are the moments at which the two delays become known, and no relation may use a
-- delay before its moment. When a cancellation became known is not in the data, so nothing uses it: to everybody who looks, a cancelled
-- flight has simply not left yet.

with final as (
    select
        flights.carrier || '-' || {{ as_string('flights.flight') }} || '-' || flights.origin || '-'
        || {{ as_string('flights.departure_date') }} as request_id,
        flights.departure_date,
        flights.carrier,
        flights.tailnum,
        flights.origin,
        flights.dest,
        flights.distance as distance_miles,
        flights.scheduled_departure_at,
        flights.scheduled_arrival_at,
        flights.departed_at,
        flights.dep_delay as departure_delay_minutes,
        flights.arrived_at,
        flights.arr_delay as arrival_delay_minutes
    from {{ source('flights') }} as flights
)

select
    final.request_id,
    final.departure_date,
    final.carrier,
    final.tailnum,
    final.origin,
    final.dest,
    final.distance_miles,
    final.scheduled_departure_at,
    final.scheduled_arrival_at,
    final.departed_at,
    final.departure_delay_minutes,
    final.arrived_at,
    final.arrival_delay_minutes
from final
