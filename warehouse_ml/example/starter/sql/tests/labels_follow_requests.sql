-- grain: one row per flight whose answer was known before it was asked for; none is right
-- unit:  instants in UTC
-- null:  left out

select
    requests.request_id,
    requests.requested_at,
    labels.known_at
from {{ ref('late_requests') }} as requests
inner join {{ ref('late_labels') }} as labels
    on requests.request_id = labels.request_id
where labels.known_at <= requests.requested_at
