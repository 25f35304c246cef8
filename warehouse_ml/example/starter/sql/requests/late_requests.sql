{{ config(materialized='incremental', event_time='requested_at') }}
-- grain: one row per scheduled flight, asked two hours before it is due to leave
-- unit:  requested_at is an instant in UTC; distance in miles; hours in UTC
-- null:  as in the flights

select
    flights.carrier || '-' || {{ as_string('flights.flight') }} || '-' || flights.origin || '-'
    || {{ as_string('flights.departure_date') }} as request_id,
    {{ add_interval('flights.scheduled_departure_at', -2, 'hour') }} as requested_at,
    flights.origin,
    flights.carrier,
    flights.distance as distance_miles,
    {{ as_int('extract(hour from flights.scheduled_departure_at)') }} as departure_hour,
    {{ weekday('flights.scheduled_departure_at') }} as departure_weekday
from {{ source('flights') }} as flights
where
    flights.scheduled_departure_at >= {{ add_interval(window.start, 2, 'hour') }}
    and flights.scheduled_departure_at < {{ add_interval(window.end, 2, 'hour') }}
