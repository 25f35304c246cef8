-- grain: one row per label that answers no request, or was known before its request
-- unit:  *_at are instants in UTC
-- null:  requested_at, when there is no such request

select
    labels.request_id,
    labels.known_at,
    requests.requested_at
from {{ ref('late_arrival_labels') }} as labels
left join {{ ref('late_arrival_requests') }} as requests
    on labels.request_id = requests.request_id
where
    requests.request_id is null
    or labels.known_at <= requests.requested_at
