-- grain: one row per unit and set of rows that a value of a column, or a pair of values, cuts out; all rows besides
-- unit:  sums of losses less the means of search_edges.sql, and of their squares
-- null:  second_* where the task has one loss only
-- Rows that two slices share, such as a city and the city in its country, make one slice: the shorter named. Values are
-- grouped by number, and named afterwards: each row is in hundreds of slices, and text takes three times as long to group.
{% set has_values = columns | rejectattr('is_quartered') | list %}
{{ create_scratch('wml_search_cells') }}
with grouped as (
    select
        coded.unit,
        {{ which_grouped(names) }} as mask,
        {% for name in names %}
        coded.{{ name }},
        {% endfor %}
        count(*) as n_rows,
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
    from wml_search_coded as coded
    group by grouping sets (
        (coded.unit){% for slice in slices %},
        (coded.unit, {% for name in slice.names %}coded.{{ name }}{% if not loop.last %}, {% endif %}{% endfor %}){% endfor %}

    )
),

-- What a code stands for; a quarter begins and ends elsewhere in each window.
labels as {{ materialized() }} (
    {% if has_values %}
    select distinct
        edges.unit,
        search_values.input,
        {{ as_int('search_values.code') }} as code,
        search_values.label
    from wml_search_values as search_values
    cross join wml_search_edges as edges
    {% endif %}
    {% for column in columns if column.is_quartered %}
    {% if has_values or not loop.first %}
    union all
    {% endif %}
    {% set edge = 'edges.edges_' ~ column.name %}
    select
        edges.unit,
        {{ as_int(column.index) }} as input,
        quarters.quarter as code,
        case quarters.quarter
            when 1 then '<= ' || {{ number_text(element(edge, 1)) }}
            when 2 then '> ' || {{ number_text(element(edge, 1)) }} || ' and <= ' || {{ number_text(element(edge, 2)) }}
            when 3 then '> ' || {{ number_text(element(edge, 2)) }} || ' and <= ' || {{ number_text(element(edge, 3)) }}
            else '> ' || {{ number_text(element(edge, 3)) }}
        end as label
    from wml_search_edges as edges
    cross join (select 1 as quarter union all select 2 union all select 3 union all select 4) as quarters
    {% endfor %}
),

keyed as (
    select
        grouped.unit,
        slice_keys.slice_key,
        slice_keys.n_columns,
        slice_keys.position,
        slice_keys.first_input,
        slice_keys.second_input,
        {% for which in ['first', 'second'] %}
        case slice_keys.{{ which }}_input
            {% for column in columns %}
            when {{ column.index }} then {{ as_int('grouped.' ~ column.name) }}
            {% endfor %}
        end as {{ which }}_code,
        {% endfor %}
        grouped.n_rows,
        grouped.fingerprint,
        grouped.first_total,
        grouped.first_squares,
        grouped.second_total,
        grouped.second_squares
    from grouped
    inner join wml_search_keys as slice_keys
        on grouped.mask = slice_keys.mask
),

named as (
    select
        keyed.unit,
        keyed.slice_key,
        keyed.n_columns,
        keyed.position,
        {{ joined_text([
            "case when keyed.first_code = 0 then '(null)' else first_labels.label end",
            "case when keyed.second_code = 0 then '(null)' else second_labels.label end",
        ], ', ') }} as slice_value,
        keyed.n_rows,
        keyed.fingerprint,
        keyed.first_total,
        keyed.first_squares,
        keyed.second_total,
        keyed.second_squares
    from keyed
    left join labels as first_labels
        on keyed.unit = first_labels.unit
        and keyed.first_input = first_labels.input
        and keyed.first_code = first_labels.code
    left join labels as second_labels
        on keyed.unit = second_labels.unit
        and keyed.second_input = second_labels.input
        and keyed.second_code = second_labels.code
)

select
    named.unit,
    named.slice_key,
    named.slice_value,
    {{ as_double('named.n_rows') }} as n_rows,
    named.first_total,
    named.first_squares,
    named.second_total,
    named.second_squares
from named
where true
qualify row_number() over (
    partition by named.unit, named.n_rows, named.fingerprint
    order by named.n_columns, named.position, named.slice_value
) = 1
