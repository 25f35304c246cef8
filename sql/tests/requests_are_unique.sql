-- grain: one row per request_id that occurs more than once
-- unit:  n_rows in rows
-- null:  never

select
    requests.request_id,
    count(*) as n_rows
from {{ ref('late_arrival_requests') }} as requests
group by requests.request_id
having count(*) > 1
