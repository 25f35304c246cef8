{#- Names: `relation`; `split`; `values`, each with value (an expression), is_list, most and fewest: how many of the
    most frequent values are wanted, and how many rows each must have at least. -#}
-- grain: one row per value asked for and category that is wanted; one more for all that are not
-- unit:  n_rows counts training rows; of a list, those that have the element, however often
-- null:  category is null for those that are not wanted; a missing value is no category
with training_rows as (
    select
        {% for value in values %}
        {{ value.value }} as value_{{ loop.index0 }},
        {% endfor %}
        {% if values | selectattr('is_list') | list %}
        row_number() over () as wml_row,
        {% endif %}
        1 as wml_one
    from {{ relation | ident }} as read_rows
    where read_rows.{{ split | ident }} = 'train'
),

{% for value in values %}
listed_{{ loop.index0 }} as (
    {% if value.is_list %}
    {#- A row that has an element twice has it. -#}
    select wml_element as category
    from training_rows
    {{ cross_join_elements('training_rows.value_' ~ loop.index0, 'wml_element') }}
    group by training_rows.wml_row, wml_element
    {% else %}
    select value_{{ loop.index0 }} as category
    from training_rows
    {% endif %}
),

counted_{{ loop.index0 }} as (
    select
        category,
        count(*) as n_rows
    from listed_{{ loop.index0 }}
    where category is not null
    group by category
),

ranked_{{ loop.index0 }} as (
    select
        category,
        n_rows,
        n_rows >= {{ value.fewest }} and row_number() over (order by n_rows desc, category asc) <= {{ value.most }} as is_wanted
    from counted_{{ loop.index0 }}
),

{% endfor %}
final as (
    {% for value in values %}
    {% if not loop.first %}
    union all
    {% endif %}
    select
        {{ loop.index0 }} as value,
        {{ as_string('category') }} as category,
        n_rows,
        1 as n_categories
    from ranked_{{ loop.index0 }}
    where is_wanted
    union all
    select
        {{ loop.index0 }} as value,
        cast(null as {{ type('string') }}) as category,
        {{ as_int('sum(n_rows)') }} as n_rows,
        count(*) as n_categories
    from ranked_{{ loop.index0 }}
    where not is_wanted
    having count(*) > 0
    {% endfor %}
)

select
    value,
    category,
    n_rows,
    n_categories
from final
order by
    value asc,
    n_rows desc,
    category asc
