{{ config(materialized='incremental', event_time='requested_at') }}
{%- set lead = var('request_lead_hours') -%}
{#- The column of an as-of join, or null where the row it found is older than so many hours. -#}
{%- macro fresh(group, column, hours) -%}
    case when {{ seconds_between(group ~ '.known_at', 'flights.requested_at') }} <= {{ hours * 3600 }} then {{ group }}.{{ column }} end
{%- endmacro %}

-- grain: one row per scheduled flight, asked two hours before it is due to leave
-- unit:  *_at are instants in UTC; *_minutes are minutes, *_rate in [0, 1], local_hour in hours of New York's clock, weather as in weather_hours
-- null:  not known at requested_at, or too long ago to matter
--
-- *_known_at is the latest moment that its group of features rests on; none is after requested_at. Each group has an age after which it is
-- null, so that a row is the same whether built with its week or with its year.

with flights as (
    select
        scheduled_flights.request_id,
        {{ add_interval('scheduled_flights.scheduled_departure_at', -lead, 'hour') }} as requested_at,
        scheduled_flights.scheduled_departure_at,
        scheduled_flights.carrier,
        scheduled_flights.origin,
        scheduled_flights.dest,
        scheduled_flights.tailnum,
        scheduled_flights.distance_miles
    from {{ ref('scheduled_flights') }} as scheduled_flights
    where
        scheduled_flights.scheduled_departure_at >= {{ add_interval(window.start, lead, 'hour') }}
        and scheduled_flights.scheduled_departure_at < {{ add_interval(window.end, lead, 'hour') }}
),

-- The schedule is published months ahead, so that the crowd of the hour is known.
crowds as (
    select
        scheduled_flights.origin,
        {{ period_start('scheduled_flights.scheduled_departure_at', 'hour') }} as hour_at,
        count(*) as n_flights
    from {{ ref('scheduled_flights') }} as scheduled_flights
    where
        scheduled_flights.scheduled_departure_at >= {{ add_interval(window.start, lead - 1, 'hour') }}
        and scheduled_flights.scheduled_departure_at < {{ add_interval(window.end, lead + 1, 'hour') }}
    group by
        scheduled_flights.origin,
        {{ period_start('scheduled_flights.scheduled_departure_at', 'hour') }}
),

weather as (
    select
        weather_hours.origin,
        weather_hours.known_at,
        weather_hours.temperature_f,
        weather_hours.dew_point_f,
        weather_hours.wind_mph,
        weather_hours.precipitation_inches,
        weather_hours.visibility_miles
    from {{ ref('weather_hours') }} as weather_hours
    where
        weather_hours.hour_at >= {{ add_interval(window.start, -1, 'day') }}
        and weather_hours.hour_at < {{ window.end }}
),

boards as (
    select
        origin_board.origin,
        origin_board.known_at,
        origin_board.late_rate,
        origin_board.overdue_rate,
        origin_board.delay_mean_minutes
    from {{ ref('origin_board') }} as origin_board
    where origin_board.known_at >= {{ add_interval(window.start, -1, 'day') }}
),

destinations as (
    select
        destination_arrivals.dest,
        destination_arrivals.known_at,
        destination_arrivals.arrival_delay_mean_minutes,
        destination_arrivals.late_rate
    from {{ ref('destination_arrivals') }} as destination_arrivals
    where destination_arrivals.known_at >= {{ add_interval(window.start, -1, 'day') }}
),

aircraft as (
    select
        aircraft_events.tailnum,
        aircraft_events.known_at,
        aircraft_events.is_airborne,
        aircraft_events.delay_minutes,
        aircraft_events.free_at
    from {{ ref('aircraft_events') }} as aircraft_events
    where aircraft_events.known_at >= {{ add_interval(window.start, -1, 'day') }}
),

routes as (
    select
        route_days.carrier,
        route_days.origin,
        route_days.dest,
        route_days.known_at,
        route_days.arrival_delay_mean_minutes,
        route_days.late_rate
    from {{ ref('route_days') }} as route_days
    where route_days.known_at >= {{ add_interval(window.start, -8, 'day') }}
),

final as (
    select
        flights.request_id,
        flights.requested_at,
        flights.scheduled_departure_at,
        flights.carrier,
        flights.origin,
        flights.dest,
        flights.tailnum,
        flights.distance_miles,
        extract(hour from flights.scheduled_departure_at at time zone 'America/New_York')
        + extract(minute from flights.scheduled_departure_at at time zone 'America/New_York') / 60e0 as local_hour,
        crowds.n_flights as origin_flights_in_hour,
        planes.seats,
        {{ fresh('weather', 'known_at', 6) }} as weather_known_at,
        {{ fresh('weather', 'temperature_f', 6) }} as temperature_f,
        {{ fresh('weather', 'dew_point_f', 6) }} as dew_point_f,
        {{ fresh('weather', 'wind_mph', 6) }} as wind_mph,
        {{ fresh('weather', 'precipitation_inches', 6) }} as precipitation_inches,
        {{ fresh('weather', 'visibility_miles', 6) }} as visibility_miles,
        {{ fresh('boards', 'known_at', 1) }} as origin_board_known_at,
        {{ fresh('boards', 'late_rate', 1) }} as origin_late_rate,
        {{ fresh('boards', 'overdue_rate', 1) }} as origin_overdue_rate,
        {{ fresh('boards', 'delay_mean_minutes', 1) }} as origin_delay_mean_minutes,
        {{ fresh('destinations', 'known_at', 12) }} as destination_known_at,
        {{ fresh('destinations', 'late_rate', 12) }} as destination_late_rate,
        {{ fresh('destinations', 'arrival_delay_mean_minutes', 12) }} as destination_delay_mean_minutes,
        {{ fresh('aircraft', 'known_at', 24) }} as aircraft_known_at,
        {{ fresh('aircraft', 'is_airborne', 24) }} as aircraft_is_airborne,
        {{ fresh('aircraft', 'delay_minutes', 24) }} as aircraft_delay_minutes,
        {{ seconds_between(fresh('aircraft', 'free_at', 24), 'flights.scheduled_departure_at') }} / 60 as aircraft_slack_minutes,
        {{ fresh('routes', 'known_at', 168) }} as route_known_at,
        {{ fresh('routes', 'late_rate', 168) }} as route_late_rate,
        {{ fresh('routes', 'arrival_delay_mean_minutes', 168) }} as route_delay_mean_minutes
    from flights
    left join crowds
        on
            flights.origin = crowds.origin
            and {{ period_start('flights.scheduled_departure_at', 'hour') }} = crowds.hour_at
    left join {{ source('planes') }} as planes
        on flights.tailnum = planes.tailnum
    {{ asof_join('flights', 'weather', 'weather', ['origin'], 'requested_at', 'known_at') }}
    {{ asof_join('flights', 'boards', 'boards', ['origin'], 'requested_at', 'known_at') }}
    {{ asof_join('flights', 'destinations', 'destinations', ['dest'], 'requested_at', 'known_at') }}
    {{ asof_join('flights', 'aircraft', 'aircraft', ['tailnum'], 'requested_at', 'known_at') }}
    {{ asof_join('flights', 'routes', 'routes', ['carrier', 'origin', 'dest'], 'requested_at', 'known_at') }}
)

select
    final.request_id,
    final.requested_at,
    final.scheduled_departure_at,
    final.carrier,
    final.origin,
    final.dest,
    final.tailnum,
    final.distance_miles,
    final.local_hour,
    final.origin_flights_in_hour,
    final.seats,
    final.weather_known_at,
    final.temperature_f,
    final.dew_point_f,
    final.wind_mph,
    final.precipitation_inches,
    final.visibility_miles,
    final.origin_board_known_at,
    final.origin_late_rate,
    final.origin_overdue_rate,
    final.origin_delay_mean_minutes,
    final.destination_known_at,
    final.destination_late_rate,
    final.destination_delay_mean_minutes,
    final.aircraft_known_at,
    final.aircraft_is_airborne,
    final.aircraft_delay_minutes,
    final.aircraft_slack_minutes,
    final.route_known_at,
    final.route_late_rate,
    final.route_delay_mean_minutes
from final
