-- grain: the request_id that occurs most often
-- unit:  rows
-- null:  left out
select
    request_id,
    count(*) as n
from {{ relation | ident }}
where request_id is not null
group by request_id
order by
    n desc,
    request_id asc
limit 1
