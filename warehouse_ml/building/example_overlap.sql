-- grain: one request_id that an earlier window has already, and how many there are
-- unit:  rows
-- null:  none where no request came twice
select
    min(fresh.request_id) as request_id,
    count(*) as n
from {{ fresh | ident }} as fresh
inner join {{ relation | ident }} as earlier
    on fresh.request_id = earlier.request_id
where earlier.{{ event_time | ident }} < {{ param('window_start') }}
