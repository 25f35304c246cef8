-- grain: one row per unit and combination of the slice columns' values among the rows with a label and a score
-- unit:  combination is a number for it
-- null:  never
{{ create_scratch('wml_combinations') }}
select
    request_rows.unit,
    {% for name in names %}
    request_rows.{{ name }},
    {% endfor %}
    row_number() over (order by request_rows.unit{% for name in names %}, request_rows.{{ name }}{% endfor %}) as combination
from wml_rows as request_rows
where
    request_rows.label is not null
    and request_rows.score is not null
group by
    request_rows.unit{% for name in names %},
    request_rows.{{ name }}{% endfor %}
