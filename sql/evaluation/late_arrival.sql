{{ config(
    model='late_arrival',
    task='binary',
    threshold=0.3,
    slices=[
        'origin',
        'carrier',
        'plane_size',
        'market',
        ['origin', 'plane_size'],
        ['plane_size', 'market'],
    ],
    reference={'plane_size': 'larger', 'market': 'large market'},
    window='week',
    maturity='2 days',
    min_slice_size=30,
) }}
-- grain: one row per request and version
-- unit:  score in [0, 1]; *_at are instants in UTC
-- null:  label and label_known_at until the flight has arrived, and for ever when it was cancelled or diverted

with final as (
    select
        requests.request_id,
        requests.requested_at,
        requests.version as model_version,
        requests.score,
        labels.is_late as label,
        labels.known_at as label_known_at,
        requests.origin,
        requests.carrier,
        case
            when requests.seats <= {{ var('small_plane_seats') }} then 'small ({{ var('small_plane_seats') }} seats or fewer)'
            when requests.seats > {{ var('small_plane_seats') }} then 'larger'
            else 'unknown'
        end as plane_size,
        markets.market
    from {{ request_log('late_arrival') }} as requests
    left join {{ ref('late_arrival_labels') }} as labels
        on requests.request_id = labels.request_id
    left join {{ ref('destination_markets') }} as markets
        on requests.dest = markets.dest
)

select
    final.request_id,
    final.requested_at,
    final.model_version,
    final.score,
    final.label,
    final.label_known_at,
    final.origin,
    final.carrier,
    final.plane_size,
    final.market
from final
