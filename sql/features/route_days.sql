{{ config(
    materialized='incremental',
    entity=['carrier', 'origin', 'dest'],
    event_time='known_at',
    known_at='known_at',
) }}
{%- set epoch = "cast('1970-01-01 00:00:00+00' as " ~ type('timestamp') ~ ")" %}
-- grain: one row per carrier, origin, destination and day (UTC) with an arrival
-- unit:  n_arrived in flights; arrival_delay_mean_minutes in minutes; late_rate in [0, 1]
-- null:  never
--
-- The arrivals of the last 28 days, this one included, as they stand at the end of the day.

with days as (
    select
        scheduled_flights.carrier,
        scheduled_flights.origin,
        scheduled_flights.dest,
        {{ as_int('floor(' ~ seconds_between(epoch, 'scheduled_flights.arrived_at') ~ ' / 86400)') }} as day_number,
        count(*) as n_arrived,
        sum(scheduled_flights.arrival_delay_minutes) as arrival_delay_minutes,
        {{ count_where('scheduled_flights.arrival_delay_minutes >= 15') }} as n_late
    from {{ ref('scheduled_flights') }} as scheduled_flights
    where
        scheduled_flights.scheduled_departure_at >= {{ add_interval(window.start, -32, 'day') }}
        and scheduled_flights.arrived_at < {{ window.end }}
    group by
        scheduled_flights.carrier,
        scheduled_flights.origin,
        scheduled_flights.dest,
        day_number
),

final as (
    select
        days.carrier,
        days.origin,
        days.dest,
        {{ add_interval(epoch, '(days.day_number + 1) * 24', 'hour') }} as known_at,
        sum(days.n_arrived) over last_four_weeks as n_arrived,
        {{ safe_divide('sum(days.arrival_delay_minutes) over last_four_weeks', 'sum(days.n_arrived) over last_four_weeks') }}
            as arrival_delay_mean_minutes,
        {{ safe_divide('sum(days.n_late) over last_four_weeks', 'sum(days.n_arrived) over last_four_weeks') }} as late_rate
    from days
    window last_four_weeks as (
        partition by
            days.carrier,
            days.origin,
            days.dest
        order by days.day_number asc nulls last
        range between 27 preceding and current row
    )
)

select
    final.carrier,
    final.origin,
    final.dest,
    final.known_at,
    final.n_arrived,
    final.arrival_delay_mean_minutes,
    final.late_rate
from final
where
    final.known_at >= {{ window.start }}
    and final.known_at < {{ window.end }}
