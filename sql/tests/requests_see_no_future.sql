-- grain: one row per request that rests on something known only later
-- unit:  *_at are instants in UTC
-- null:  a *_known_at whose features are null

select
    requests.request_id,
    requests.requested_at,
    requests.weather_known_at,
    requests.origin_board_known_at,
    requests.destination_known_at,
    requests.aircraft_known_at,
    requests.route_known_at
from {{ ref('late_arrival_requests') }} as requests
where
    requests.weather_known_at > requests.requested_at
    or requests.origin_board_known_at > requests.requested_at
    or requests.destination_known_at > requests.requested_at
    or requests.aircraft_known_at > requests.requested_at
    or requests.route_known_at > requests.requested_at
