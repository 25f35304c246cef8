-- grain: the table's; the rows that it lacks
-- unit:  the table's
-- null:  the table's; a column that the rows do not have
insert into {{ relation | ident }} ({% for column in columns %}{{ column | ident }}{% if not loop.last %}, {% endif %}{% endfor %})
select
{% for column in columns %}
    {{ column | ident }}{% if not loop.last %},{% endif %}

{% endfor %}
from {{ rows | ident }}
