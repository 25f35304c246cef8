-- grain: one row per request that the version answered
-- unit:  the inputs' own
-- null:  the inputs' own
select
    requested_at
{% for column, value in columns.items() %}
    ,
    {% if value %}{{ value }} as {% endif %}{{ column | ident }}
{% endfor %}
from {{ log | ident }}
where version = {{ version | literal }}
{% if since is defined and since is not none %}
    and requested_at >= {{ since | literal }}
{% endif %}
