-- grain: one row per unit and set of rows that a value of a column, or a pair of values, cuts out; all rows besides
-- unit:  sums of losses less the means of search_edges.sql, and of their squares
-- null:  second_* where the task has one loss only
-- Rows that two slices share, such as a city and the city in its country, make one slice: the shorter named. Values are
-- grouped by number, and named afterwards: each row is in hundreds of slices, and text takes three times as long to group.
{% set has_values = columns | rejectattr('is_quartered') | list %}
{{ create_scratch('wml_search_cells') }}
with coded as (
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
),

grouped as (
    select
        coded.unit,
        {{ which_grouped(names) }} as mask,
        {% for name in names %}
        coded.{{ name }},
        {% endfor %}
        {{ as_double('count(*)') }} as n_rows,
        sum(coded.fingerprint) as fingerprint,
        sum(coded.first_loss) as first_total,
        sum(coded.first_square) as first_squares,
        {% if metrics | length > 1 %}
        sum(coded.second_loss) as second_total,
        sum(coded.second_square) as second_squares
        {% else %}
        {{ as_double('null') }} as second_total,
        {{ as_double('null') }} as second_squares
        {% endif %}
    from coded
    group by grouping sets (
        (coded.unit){% for slice in slices %},
        (coded.unit, {% for name in slice.names %}coded.{{ name }}{% if not loop.last %}, {% endif %}{% endfor %}){% endfor %}

    )
),

{% if has_values %}
labels as (
    select distinct
        search_values.input,
        search_values.code,
        search_values.label
    from wml_search_values as search_values
    where search_values.code > 0
),

{% endif %}
named as (
    select
        grouped.unit,
        grouped.mask,
        grouped.n_rows,
        grouped.fingerprint,
        grouped.first_total,
        grouped.first_squares,
        grouped.second_total,
        grouped.second_squares,
        {% for column in columns %}
        case
            when grouped.{{ column.name }} = 0 then '(null)'
            {% if column.is_quartered %}
            {% set edge = 'edges.edges_' ~ column.name %}
            {% for quartile in [1, 2, 3] %}
            when grouped.{{ column.name }} = {{ quartile }} then
                {% if quartile > 1 %}'> ' || {{ number_text(element(edge, quartile - 1)) }} || ' and ' || {% endif %}'<= ' || {{ number_text(element(edge, quartile)) }}
            {% endfor %}
            when grouped.{{ column.name }} = 4 then '> ' || {{ number_text(element(edge, 3)) }}
            {% else %}
            else labels_{{ column.index }}.label
            {% endif %}
        end as {{ column.name }}{% if not loop.last %},{% endif %}

        {% endfor %}
    from grouped
    inner join wml_search_edges as edges
        on grouped.unit = edges.unit
    {% for column in has_values %}
    left join labels as labels_{{ column.index }}
        on grouped.{{ column.name }} = labels_{{ column.index }}.code
        and labels_{{ column.index }}.input = {{ column.index }}
    {% endfor %}
)

select
    named.unit,
    slice_keys.slice_key,
    {{ joined_text(names, ', ') }} as slice_value,
    named.n_rows,
    named.first_total,
    named.first_squares,
    named.second_total,
    named.second_squares
from named
inner join wml_search_keys as slice_keys
    on named.mask = slice_keys.mask
where true
qualify row_number() over (
    partition by named.unit, named.n_rows, named.fingerprint
    order by slice_keys.n_columns, slice_keys.position, {{ joined_text(names, ', ') }}
) = 1
