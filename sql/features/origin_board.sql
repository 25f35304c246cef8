{{ config(
    materialized='incremental',
    entity='origin',
    event_time='known_at',
    known_at='known_at',
) }}
{%- set epoch = "cast('1970-01-01 00:00:00+00' as " ~ type('timestamp') ~ ")" %}
-- grain: one row per origin and quarter of an hour, while there are flights on the board
-- unit:  n_scheduled in flights; *_rate in [0, 1]; delay_mean_minutes in minutes
-- null:  late_rate while none of the flights has left
--
-- What the departures board shows: every flight scheduled to leave in the last four hours. At known_at some have left, with a delay that
-- is now known; of the others all that is known is for how long they are overdue.

with flights as (
    select
        scheduled_flights.origin,
        {{ as_int(seconds_between(epoch, 'scheduled_flights.scheduled_departure_at')) }} as scheduled_second,
        {{ as_int(seconds_between(epoch, 'scheduled_flights.departed_at')) }} as departed_second,
        scheduled_flights.departure_delay_minutes
    from {{ ref('scheduled_flights') }} as scheduled_flights
    where
        scheduled_flights.scheduled_departure_at >= {{ add_interval(window.start, -5, 'hour') }}
        and scheduled_flights.scheduled_departure_at < {{ window.end }}
),

quarters as (
    select quarter
    from (select [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16] as numbers) as sixteen
    {{ cross_join_elements('sixteen.numbers', 'quarter') }}
),

sightings as (
    select
        flights.origin,
        flights.scheduled_second - mod(flights.scheduled_second, 900) + quarters.quarter * 900 as board_second,
        flights.scheduled_second,
        flights.departed_second,
        flights.departure_delay_minutes
    from flights
    cross join quarters
),

states as (
    select
        sightings.origin,
        sightings.board_second,
        case when sightings.departed_second <= sightings.board_second then sightings.departure_delay_minutes end as delay_minutes,
        case
            when sightings.departed_second <= sightings.board_second then null
            else (sightings.board_second - sightings.scheduled_second) / 60e0
        end as overdue_minutes
    from sightings
),

boards as (
    select
        states.origin,
        states.board_second,
        count(*) as n_scheduled,
        {{ count_where('states.delay_minutes >= 15') }} as n_late,
        count(states.delay_minutes) as n_departed,
        {{ count_where('states.overdue_minutes >= 15') }} as n_overdue,
        sum(coalesce(states.delay_minutes, states.overdue_minutes)) as delay_minutes
    from states
    group by
        states.origin,
        states.board_second
),

final as (
    select
        boards.origin,
        {{ add_interval(epoch, 'boards.board_second', 'second') }} as known_at,
        boards.n_scheduled,
        {{ safe_divide('boards.n_late', 'boards.n_departed') }} as late_rate,
        {{ safe_divide('boards.n_overdue', 'boards.n_scheduled') }} as overdue_rate,
        {{ safe_divide('boards.delay_minutes', 'boards.n_scheduled') }} as delay_mean_minutes
    from boards
)

select
    final.origin,
    final.known_at,
    final.n_scheduled,
    final.late_rate,
    final.overdue_rate,
    final.delay_mean_minutes
from final
where
    final.known_at >= {{ window.start }}
    and final.known_at < {{ window.end }}
