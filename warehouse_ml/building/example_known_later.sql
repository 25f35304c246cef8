-- grain: the first request with a feature that was known only later
-- unit:  timestamps are instants in UTC, as text
-- null:  left out
select
    request_id,
    {{ as_string('requested_at') }} as requested_at,
    {{ as_string(column | ident) }} as known_at
from {{ relation | ident }}
where {{ column | ident }} > requested_at
order by
    requested_at asc,
    request_id asc
limit 1
