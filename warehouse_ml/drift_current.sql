-- grain: one row per request that the version answered
-- unit:  the inputs' own
-- null:  the inputs' own
select
    requested_at
{% for column in columns %}
    ,
    {{ column | ident }}
{% endfor %}
from {{ log | ident }}
where version = {{ version | literal }}
