-- grain: one row per column of the input, the fields of a struct each as a column, in their order
-- unit:  min, max and top_values as text; mean, stddev, median and quantiles in the column's unit
-- null:  what does not apply to the column's type, and what has no value
{% set no_lists = {
    'quantiles': 'cast(null as ' ~ list_type(type('double')) ~ ')',
    'top_values': 'cast(null as ' ~ list_type(record_type({'value': type('string'), 'count': type('int')})) ~ ')',
    'array_length_quantiles': 'cast(null as ' ~ list_type(type('int')) ~ ')',
} %}
with wml_base as (
{{ rows }}
),

columns as (
    select
        listed.place,
        listed.name,
        listed.input,
        listed.is_category
    from (
        select
            [
                {% for column in columns %}
                {{ record({
                    'place': column.place,
                    'name': column.name | literal,
                    'input': "'text_" ~ column.place ~ "'",
                    'is_category': column.is_category | literal,
                }) }}{% if not loop.last %},{% endif %}

                {% endfor %}
            ] as names
    ) as listing
    {{ cross_join_elements('listing.names', 'listed') }}
),

{% for array in arrays %}
lengths_{{ array.place }} as (
    select
        {{ as_int('count(*)') }} as num_rows,
        {{ count_where(array.list ~ ' is null') }} as num_nulls,
        {{ as_int('min(' ~ list_length(array.list) ~ ')') }} as min_array_length,
        {{ as_int('max(' ~ list_length(array.list) ~ ')') }} as max_array_length,
        avg({{ list_length(array.list) }}) as avg_array_length,
        {{ as_int('sum(' ~ list_length(array.list) ~ ')') }} as total_array_length,
        {{ middle_and_quantiles(as_int(list_length(array.list)), n_length_quantiles) }} as length_quantiles
    from wml_base
),

elements_{{ array.place }} as (
    select wml_element
    from wml_base
    {{ cross_join_elements(array.list, 'wml_element') }}
),

{% endfor %}
totals as (
    select {{ as_int('count(*)') }} as num_rows
    from wml_base
),

{% for batch in numbers %}
numbers_{{ loop.index }} as (
    select
        {% for column in batch.columns %}
        {{ finite(column.value) }} as number_{{ column.place }},
        {% if column.is_real %}
        case when {{ finite(column.value) }} is not null then {{ column.value }} end as own_{{ column.place }}{% if not loop.last %},{% endif %}

        {% else %}
        {{ column.value }} as own_{{ column.place }}{% if not loop.last %},{% endif %}

        {% endif %}
        {% endfor %}
    from {{ batch.source }}
),

summary_{{ loop.index }} as (
    select
        [
            {% for column in batch.columns %}
            {% set number = 'number_' ~ column.place %}
            {{ record({
                'place': column.place,
                'num_values': as_int('count(' ~ number ~ ')'),
                'num_zeros': count_where(number ~ ' = 0'),
                'min_text': as_string('min(own_' ~ column.place ~ ')'),
                'max_text': as_string('max(own_' ~ column.place ~ ')'),
                'mean': 'avg(' ~ number ~ ')',
                'stddev': 'stddev_samp(' ~ number ~ ')',
                'quantiles': middle_and_quantiles(number, n_quantiles),
            }) }}{% if not loop.last %},{% endif %}

            {% endfor %}
        ] as columns
    from numbers_{{ loop.index }}
),

{% endfor %}
{% for batch in categories %}
texts_{{ loop.index }} as (
    select
        {% for column in batch.columns %}
        {{ as_string(column.value) }} as text_{{ column.place }}{% if not loop.last %},{% endif %}

        {% endfor %}
    from {{ batch.source }}
),

values_{{ loop.index }} as (
    select
        long.input,
        long.value,
        count(*) as n_rows
    from texts_{{ loop.index }} unpivot (
        value for input in ({% for column in batch.columns %}text_{{ column.place }}{% if not loop.last %}, {% endif %}{% endfor %})
    ) as long
    group by
        long.input,
        long.value
),

ranked_{{ loop.index }} as (
    select
        counted.input,
        counted.value,
        counted.n_rows,
        row_number() over (
            partition by counted.input
            order by counted.n_rows desc, counted.value asc
        ) as place_in_rank
    from values_{{ loop.index }} as counted
),

{% endfor %}
top_values as (
    {% for batch in categories %}
    select
        ranked.input,
        array_agg({{ record({'value': 'ranked.value', 'count': as_int('ranked.n_rows')}) }} order by ranked.place_in_rank) as top_values
    from ranked_{{ loop.index }} as ranked
    where ranked.place_in_rank <= {{ top_k }}
    group by ranked.input
    union all
    {% endfor %}
    select
        cast(null as {{ type('string') }}) as input,
        {{ no_lists.top_values }} as top_values
    from totals
    where false
),

category_values as (
    {% for batch in categories %}
    select
        counted.input,
        {{ as_int('sum(counted.n_rows)') }} as num_values,
        min(counted.value) as min_text,
        max(counted.value) as max_text,
        {{ as_int('count(*)') }} as n_distinct,
        {{ safe_divide('sum(counted.n_rows * length(counted.value))', 'sum(counted.n_rows)') }} as avg_string_length
    from values_{{ loop.index }} as counted
    group by counted.input
    union all
    {% endfor %}
    select
        cast(null as {{ type('string') }}) as input,
        cast(null as {{ type('int') }}) as num_values,
        cast(null as {{ type('string') }}) as min_text,
        cast(null as {{ type('string') }}) as max_text,
        cast(null as {{ type('int') }}) as n_distinct,
        cast(null as {{ type('double') }}) as avg_string_length
    from totals
    where false
),

described as (
    {% for batch in numbers %}
    select
        found.place,
        found.num_values,
        found.num_zeros,
        found.min_text,
        found.max_text,
        found.mean,
        found.stddev,
        ({{ element('found.quantiles', 1) }} + {{ element('found.quantiles', 2) }}) / 2e0 as median,
        {{ list_from('found.quantiles', 3) }} as quantiles,
        cast(null as {{ type('int') }}) as n_distinct,
        cast(null as {{ type('double') }}) as avg_string_length,
        {{ no_lists.top_values }} as top_values
    from summary_{{ loop.index }} as summary
    {{ cross_join_elements('summary.columns', 'found') }}
    union all
    {% endfor %}
    select
        columns.place,
        coalesce(category_values.num_values, 0) as num_values,
        cast(null as {{ type('int') }}) as num_zeros,
        category_values.min_text,
        category_values.max_text,
        cast(null as {{ type('double') }}) as mean,
        cast(null as {{ type('double') }}) as stddev,
        cast(null as {{ type('double') }}) as median,
        {{ no_lists.quantiles }} as quantiles,
        coalesce(category_values.n_distinct, 0) as n_distinct,
        category_values.avg_string_length,
        top_values.top_values
    from columns
    left join category_values
        on columns.input = category_values.input
    left join top_values
        on columns.input = top_values.input
    where columns.is_category
),

arrays as (
    {% for array in arrays %}
    select
        {{ array.place }} as place,
        lengths.num_nulls,
        lengths.min_array_length,
        lengths.max_array_length,
        lengths.avg_array_length,
        lengths.total_array_length,
        {{ list_from('lengths.length_quantiles', 3) }} as array_length_quantiles,
        {% if array.index %}
        (
            select {{ as_int('max(' ~ array.index ~ ') + 1') }}
            from elements_{{ array.place }}
        ) as dimension
        {% else %}
        cast(null as {{ type('int') }}) as dimension
        {% endif %}
    from lengths_{{ array.place }} as lengths
    union all
    {% endfor %}
    select
        -1 as place,
        cast(null as {{ type('int') }}) as num_nulls,
        cast(null as {{ type('int') }}) as min_array_length,
        cast(null as {{ type('int') }}) as max_array_length,
        cast(null as {{ type('double') }}) as avg_array_length,
        cast(null as {{ type('int') }}) as total_array_length,
        {{ no_lists.array_length_quantiles }} as array_length_quantiles,
        cast(null as {{ type('int') }}) as dimension
)

select
    columns.name,
    totals.num_rows,
    coalesce(arrays.num_nulls, totals.num_rows - described.num_values) as num_nulls,
    described.num_zeros,
    described.min_text as {{ 'min' | ident }},
    described.max_text as {{ 'max' | ident }},
    described.mean,
    described.stddev,
    described.median,
    described.quantiles,
    described.n_distinct as {{ 'unique' | ident }},
    described.avg_string_length,
    described.num_values,
    described.top_values,
    arrays.min_array_length,
    arrays.max_array_length,
    arrays.avg_array_length,
    arrays.total_array_length,
    arrays.array_length_quantiles,
    arrays.dimension
from columns
inner join described
    on columns.place = described.place
cross join totals
left join arrays
    on columns.place = arrays.place
order by columns.place
