-- grain: one row per line of the log and per request; only the types of the columns are asked for
-- unit:  as in both
-- null:  as in both
select
{% for column in columns %}
    logged.{{ column | ident }}{% if not loop.last %},{% endif %}

{% endfor %}
from {{ log | ident }} as logged
union all
select
{% for column in columns %}
    requests.{{ column | ident }}{% if not loop.last %},{% endif %}

{% endfor %}
from {{ requests | ident }} as requests
-- Where requests are read with a filter alone, one that holds for every row.
where (requests.requested_at is null or requests.requested_at is not null)
