{{ config(materialized='view') }}
-- grain: one row per request whose flight has arrived
-- unit:  as in late_arrival_requests
-- null:  is_late never; the features as in late_arrival_requests
--
-- A flight that is still in the air at as_of has no label yet; a cancelled or diverted one never gets one.

with final as (
    select
        requests.request_id,
        requests.requested_at,
        requests.carrier,
        requests.origin,
        requests.dest,
        requests.distance_miles,
        requests.local_hour,
        requests.origin_flights_in_hour,
        requests.seats,
        requests.temperature_f,
        requests.dew_point_f,
        requests.wind_mph,
        requests.precipitation_inches,
        requests.visibility_miles,
        requests.origin_late_rate,
        requests.origin_overdue_rate,
        requests.origin_delay_mean_minutes,
        requests.destination_late_rate,
        requests.destination_delay_mean_minutes,
        requests.aircraft_is_airborne,
        requests.aircraft_delay_minutes,
        requests.aircraft_slack_minutes,
        requests.route_late_rate,
        requests.route_delay_mean_minutes,
        labels.is_late
    from {{ ref('late_arrival_requests') }} as requests
    inner join {{ ref('late_arrival_labels') }} as labels
        on requests.request_id = labels.request_id
    where
        requests.requested_at < {{ as_of }}
        and labels.known_at <= {{ as_of }}
)

select
    final.request_id,
    final.requested_at,
    final.carrier,
    final.origin,
    final.dest,
    final.distance_miles,
    final.local_hour,
    final.origin_flights_in_hour,
    final.seats,
    final.temperature_f,
    final.dew_point_f,
    final.wind_mph,
    final.precipitation_inches,
    final.visibility_miles,
    final.origin_late_rate,
    final.origin_overdue_rate,
    final.origin_delay_mean_minutes,
    final.destination_late_rate,
    final.destination_delay_mean_minutes,
    final.aircraft_is_airborne,
    final.aircraft_delay_minutes,
    final.aircraft_slack_minutes,
    final.route_late_rate,
    final.route_delay_mean_minutes,
    final.is_late
from final
