{{ config(
    materialized='incremental',
    entity='tailnum',
    event_time='known_at',
    known_at='known_at',
) }}
-- grain: one row per plane and instant at which it left New York or arrived from there
-- unit:  delay_minutes in minutes, negative when early; *_at are instants in UTC
-- null:  never
--
-- After a departure the delay is that of the departure and the plane is expected to arrive as much late; after an arrival both are
-- facts. free_at is when it could be back in New York: the same way again, from the (expected) arrival. One plane has two events in one
-- minute, which cannot be: the more delayed is taken.

with legs as (
    select
        scheduled_flights.tailnum,
        scheduled_flights.scheduled_departure_at,
        scheduled_flights.scheduled_arrival_at,
        scheduled_flights.departed_at,
        scheduled_flights.arrived_at,
        scheduled_flights.departure_delay_minutes,
        scheduled_flights.arrival_delay_minutes
    from {{ ref('scheduled_flights') }} as scheduled_flights
    where
        scheduled_flights.scheduled_departure_at >= {{ add_interval(window.start, -3, 'day') }}
        and scheduled_flights.scheduled_departure_at < {{ add_interval(window.end, 1, 'day') }}
        and scheduled_flights.tailnum is not null
),

events as (
    select
        legs.tailnum,
        legs.departed_at as known_at,
        true as is_airborne,
        legs.departure_delay_minutes as delay_minutes,
        legs.scheduled_arrival_at + (legs.departed_at - legs.scheduled_departure_at) as arrival_at,
        legs.scheduled_arrival_at - legs.scheduled_departure_at as block
    from legs
    where
        legs.departed_at >= {{ window.start }}
        and legs.departed_at < {{ window.end }}
    union all
    select
        legs.tailnum,
        legs.arrived_at as known_at,
        false as is_airborne,
        legs.arrival_delay_minutes as delay_minutes,
        legs.arrived_at as arrival_at,
        legs.scheduled_arrival_at - legs.scheduled_departure_at as block
    from legs
    where
        legs.arrived_at >= {{ window.start }}
        and legs.arrived_at < {{ window.end }}
),

ranked as (
    select
        events.tailnum,
        events.known_at,
        events.is_airborne,
        events.delay_minutes,
        events.arrival_at,
        events.block,
        row_number() over (
            partition by events.tailnum, events.known_at
            order by events.is_airborne desc, events.delay_minutes desc
        ) as place
    from events
),

final as (
    select
        ranked.tailnum,
        ranked.known_at,
        ranked.is_airborne,
        ranked.delay_minutes,
        ranked.arrival_at,
        ranked.arrival_at + ranked.block as free_at
    from ranked
    where ranked.place = 1
)

select
    final.tailnum,
    final.known_at,
    final.is_airborne,
    final.delay_minutes,
    final.arrival_at,
    final.free_at
from final
