-- grain: one row
-- unit:  how many different values each searched column has, null counting as one
-- null:  none
select
    {% for column in columns %}
    {{ as_int('count(distinct asked.' ~ column.name ~ ') + max(case when asked.' ~ column.name ~ ' is null then 1 else 0 end)') }} as {{ column.name }}{% if not loop.last %},{% endif %}

    {% endfor %}
from wml_search_asked as asked
