-- grain: one row per row of the input
-- unit:  as in the input; wml_row counts from 1
-- null:  as in the input
with wml_rows as (
{{ rows }}
)

select
    {% for name in inputs %}
    wml_rows.{{ name | ident }},
    {% endfor %}
    {% for name in keep %}
    wml_rows.{{ name | ident }} as wml_kept_{{ loop.index0 }},
    {% endfor %}
    row_number() over () as {{ row }}
from wml_rows
