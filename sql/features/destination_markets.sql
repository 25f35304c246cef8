{{ config(materialized='table', entity='dest') }}
-- grain: one row per destination
-- unit:  n_flights in flights scheduled from New York in the year
-- null:  never
--
-- Only slices use this, no feature does: it counts the schedule of the whole year, and a group must not change from week to week.

with final as (
    select
        flights.dest,
        count(*) as n_flights,
        case when count(*) < {{ var('small_market_flights') }} then 'small market' else 'large market' end as market
    from {{ source('flights') }} as flights
    group by flights.dest
)

select
    final.dest,
    final.n_flights,
    final.market
from final
