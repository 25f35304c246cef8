-- grain: one row
-- unit:  counts of rows that break what a request must be
-- null:  a *_known_at that is null says that nothing was known
select
    count(*) as n_rows,
    count(distinct request_id) as n_request_ids,
    {{ count_where('request_id is null') }} as n_without_id,
    {{ count_where('requested_at is null') }} as n_without_time
{% for column in known_at %}
    ,
    {{ count_where(column | ident ~ ' > requested_at') }} as n_known_later_{{ loop.index0 }}
{% endfor %}
from {{ relation | ident }}
