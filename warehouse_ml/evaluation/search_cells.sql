-- grain: one row per unit and set of rows that a value of a column, or a pair of values, cuts out; all rows besides
-- unit:  sums of losses less the means of search_edges.sql, and of their squares
-- null:  second_* where the task has one loss only
-- Rows that two slices share, such as a city and the city in its country, make one slice: the shorter named.
{{ create_scratch('wml_search_cells') }}
with cut as (
    select
        asked.unit,
        asked.row_id,
        asked.first_loss - edges.first_mean as first_loss,
        asked.second_loss - edges.second_mean as second_loss,
        {% for column in columns %}
        {% if column.is_quartered %}
        {% set edge = 'edges.edges_' ~ column.name %}
        case
            when asked.{{ column.name }} is null then '(null)'
            {% for quartile in [1, 2, 3] %}
            when asked.{{ column.name }} <= {{ element(edge, quartile) }} then
                {% if quartile > 1 %}'> ' || {{ number_text(element(edge, quartile - 1)) }} || ' and ' || {% endif %}'<= ' || {{ number_text(element(edge, quartile)) }}
            {% endfor %}
            else '> ' || {{ number_text(element(edge, 3)) }}
        end as {{ column.name }}{% if not loop.last %},{% endif %}

        {% elif column.is_numeric %}
        coalesce({{ number_text('asked.' ~ column.name) }}, '(null)') as {{ column.name }}{% if not loop.last %},{% endif %}

        {% else %}
        coalesce(asked.{{ column.name }}, '(null)') as {{ column.name }}{% if not loop.last %},{% endif %}

        {% endif %}
        {% endfor %}
    from wml_search_asked as asked
    inner join wml_search_edges as edges
        on asked.unit = edges.unit
),

grouped as (
    select
        cut.unit,
        {{ which_grouped(names) }} as mask,
        {{ joined_text(names, ', ') }} as slice_value,
        {{ as_double('count(*)') }} as n_rows,
        sum(cut.row_id) as ids,
        sum(cut.row_id * cut.row_id) as id_squares,
        sum(cut.first_loss) as first_total,
        sum(cut.first_loss * cut.first_loss) as first_squares,
        sum(cut.second_loss) as second_total,
        sum(cut.second_loss * cut.second_loss) as second_squares
    from cut
    group by grouping sets (
        (cut.unit){% for slice in slices %},
        (cut.unit, {% for name in slice.names %}cut.{{ name }}{% if not loop.last %}, {% endif %}{% endfor %}){% endfor %}

    )
)

select
    grouped.unit,
    slice_keys.slice_key,
    grouped.slice_value,
    grouped.n_rows,
    grouped.first_total,
    grouped.first_squares,
    grouped.second_total,
    grouped.second_squares
from grouped
inner join wml_search_keys as slice_keys
    on grouped.mask = slice_keys.mask
qualify row_number() over (
    partition by grouped.unit, grouped.n_rows, grouped.ids, grouped.id_squares
    order by slice_keys.n_columns, slice_keys.position, grouped.slice_value
) = 1
