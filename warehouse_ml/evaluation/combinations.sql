-- grain: one row per unit and combination of the slice columns' values that occurs
-- unit:  combination is a number for it, by which rows are told apart from here on: it is narrower than the values
-- null:  version and window_start as in due.sql; a null slice is '(null)'
{{ create_scratch('wml_combinations') }}
with found as (
    select
        joined.version,
        joined.window_start{% for name in names %},
        joined.{{ name }}{% endfor %}

    from wml_joined as joined
    group by
        joined.version,
        joined.window_start{% for name in names %},
        joined.{{ name }}{% endfor %}

)

select
    due.unit,
    found.version,
    found.window_start,
    {% for name in names %}
    found.{{ name }},
    {% endfor %}
    {{ as_natural('row_number() over ()') }} as combination
from found
inner join wml_due as due
    on {% for key in window_keys %}{{ same('found.' ~ key, 'due.' ~ key) }} and {% endfor %}true
