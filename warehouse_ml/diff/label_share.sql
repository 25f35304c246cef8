-- grain: one row
-- unit:  the share of rows with the positive class, or the mean of a number
-- null:  null where there are no rows
select
{% if positive %}
    {{ safe_divide(count_where(as_string(label | ident) ~ ' = ' ~ (positive | literal)), 'count(*)') }} as label_mean
{% else %}
    avg({{ as_double(label | ident) }}) as label_mean
{% endif %}
from {{ read_parquet(path) }}
