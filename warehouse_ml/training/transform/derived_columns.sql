-- grain: one row per row of the training query
-- unit:  as TRANSFORM makes them
-- null:  as TRANSFORM makes them
create or replace temp table {{ target | ident }} as
select
{% for column in kept %}
    read_rows.{{ column | ident }},
{% endfor %}
{% for name, value in derived.items() %}
    {{ value }} as {{ name | ident }}{% if not loop.last %},{% endif %}

{% endfor %}
from {{ relation | ident }} as read_rows
