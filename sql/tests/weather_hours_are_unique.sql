-- grain: one row per origin and hour that the weather has more than once, as it would on New York's clock
-- unit:  hour_at is an instant in UTC; n_rows in rows
-- null:  never

select
    weather_hours.origin,
    weather_hours.hour_at,
    count(*) as n_rows
from {{ ref('weather_hours') }} as weather_hours
group by
    weather_hours.origin,
    weather_hours.hour_at
having count(*) > 1
