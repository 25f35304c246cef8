-- grain: one row per row of search_asked.sql
-- unit:  losses less the means of search_edges.sql, and their squares; a searched column is the code of its value, or 1 to 4
--        for a quarter
-- null:  none; 0 is the code of a null. second_* are left out where the task has one loss only
{% set has_values = columns | rejectattr('is_quartered') | list %}
{{ create_scratch('wml_search_coded') }}
select
    asked.unit,
    -- Scattered, so that two sets of as many rows do not share its sum.
    mod(mod(asked.row_id * 48271, 2147483647) * (asked.row_id + 40692), 2147483647) as fingerprint,
    asked.first_loss - edges.first_mean as first_loss,
    (asked.first_loss - edges.first_mean) * (asked.first_loss - edges.first_mean) as first_square,
    {% if metrics | length > 1 %}
    asked.second_loss - edges.second_mean as second_loss,
    (asked.second_loss - edges.second_mean) * (asked.second_loss - edges.second_mean) as second_square,
    {% endif %}
    {% for column in columns %}
    {% if column.is_quartered %}
    {% set edge = 'edges.edges_' ~ column.name %}
    {{ as_small_int('case when asked.' ~ column.name ~ ' is null then 0 when asked.' ~ column.name ~ ' <= ' ~ element(edge, 1) ~ ' then 1 when asked.' ~ column.name ~ ' <= ' ~ element(edge, 2) ~ ' then 2 when asked.' ~ column.name ~ ' <= ' ~ element(edge, 3) ~ ' then 3 else 4 end') }} as {{ column.name }}{% if not loop.last %},{% endif %}

    {% else %}
    coalesce(values_{{ column.index }}.code, {{ as_small_int('0') }}) as {{ column.name }}{% if not loop.last %},{% endif %}

    {% endif %}
    {% endfor %}
from wml_search_asked as asked
inner join wml_search_edges as edges
    on asked.unit = edges.unit
{% for column in has_values %}
left join wml_search_values as values_{{ column.index }}
    on asked.{{ column.name }} = values_{{ column.index }}.{{ 'number' if column.is_numeric else 'text' }}
    and values_{{ column.index }}.input = {{ column.index }}
{% endfor %}
