{{ config(
    materialized='table',
    entity='origin',
    event_time='known_at',
    known_at='known_at',
) }}
-- grain: one row per origin and hour
-- unit:  temperature and dew point in Fahrenheit, wind in miles per hour, visibility in miles, precipitation in inches, pressure in millibars
-- null:  not measured, or impossible (a wind of more than 200 miles per hour)
--
-- The source cuts the moment of a reading down to its hour, and most are taken at 51 minutes past. So a reading counts as known an hour
-- after hour_at: sooner would let a request see weather that nobody had measured yet.

with final as (
    select
        weather.origin,
        weather.hour_at,
        {{ add_interval('weather.hour_at', 1, 'hour') }} as known_at,
        weather.temp as temperature_f,
        weather.dewp as dew_point_f,
        weather.humid as humidity_percent,
        case when weather.wind_speed <= 200 then weather.wind_speed end as wind_mph,
        weather.wind_dir as wind_direction_degrees,
        weather.wind_gust as gust_mph,
        weather.precip as precipitation_inches,
        weather.pressure as pressure_millibars,
        weather.visib as visibility_miles
    from {{ source('weather') }} as weather
)

select
    final.origin,
    final.hour_at,
    final.known_at,
    final.temperature_f,
    final.dew_point_f,
    final.humidity_percent,
    final.wind_mph,
    final.wind_direction_degrees,
    final.gust_mph,
    final.precipitation_inches,
    final.pressure_millibars,
    final.visibility_miles
from final
