{{ config(
    materialized='incremental',
    entity='dest',
    event_time='known_at',
    known_at='known_at',
) }}
{%- set epoch = "cast('1970-01-01 00:00:00+00' as " ~ type('timestamp') ~ ")" %}
-- grain: one row per destination and minute in which a flight arrived
-- unit:  n_arrived in flights; arrival_delay_mean_minutes in minutes; late_rate in [0, 1]
-- null:  never
--
-- The arrivals of the last six hours as they stand after this one. It tells of weather and holds at the other end.

with arrivals as (
    select
        scheduled_flights.dest,
        scheduled_flights.arrived_at as known_at,
        count(*) as n_arrived,
        sum(scheduled_flights.arrival_delay_minutes) as arrival_delay_minutes,
        {{ count_where('scheduled_flights.arrival_delay_minutes >= 15') }} as n_late
    from {{ ref('scheduled_flights') }} as scheduled_flights
    where
        -- A flight of at most a day, delayed by at most a day, that arrived up to six hours before the window.
        scheduled_flights.scheduled_departure_at >= {{ add_interval(window.start, -3, 'day') }}
        and scheduled_flights.scheduled_departure_at < {{ add_interval(window.end, 1, 'day') }}
        and scheduled_flights.arrived_at >= {{ add_interval(window.start, -6, 'hour') }}
        and scheduled_flights.arrived_at < {{ window.end }}
    group by
        scheduled_flights.dest,
        scheduled_flights.arrived_at
),

final as (
    select
        arrivals.dest,
        arrivals.known_at,
        sum(arrivals.n_arrived) over last_six_hours as n_arrived,
        {{ safe_divide('sum(arrivals.arrival_delay_minutes) over last_six_hours', 'sum(arrivals.n_arrived) over last_six_hours') }}
            as arrival_delay_mean_minutes,
        {{ safe_divide('sum(arrivals.n_late) over last_six_hours', 'sum(arrivals.n_arrived) over last_six_hours') }} as late_rate
    from arrivals
    window last_six_hours as (
        partition by arrivals.dest
        order by {{ as_int(seconds_between(epoch, 'arrivals.known_at')) }}
        range between 21600 preceding and current row
    )
)

select
    final.dest,
    final.known_at,
    final.n_arrived,
    final.arrival_delay_mean_minutes,
    final.late_rate
from final
where final.known_at >= {{ window.start }}
