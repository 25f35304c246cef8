{#- Names: `relation`; `split`, the column that says train, eval or test; `features`, each with index, kind, column
    and value (expressions), in the order of the model; `has_moments`, whether mean and deviation are asked for. -#}
-- grain: one row
-- unit:  n_* are counts of training rows; mean_* and stddev_* (population) are in the unit of the encoded value:
--        numbers as they are, booleans 0 or 1, days for dates, seconds for timestamps
-- null:  mean_* and stddev_* are null where every training value is; missing values are in no statistic
with training_rows as (
    select
        {% for feature in features %}
        {{ feature.value }} as {{ feature.name | ident }},
        {% if feature.kind == 'number' %}
        {{ feature.column }} as {{ feature.raw_name | ident }},
        {% endif %}
        {% endfor %}
        1 as one
    from {{ relation | ident }}
    where {{ split | ident }} = 'train'
)

select
    {% for feature in features %}
    count({{ feature.name | ident }}) as {{ ('n_' ~ feature.index) | ident }},
    {% if feature.kind == 'category' %}
    count(distinct {{ feature.name | ident }}) as {{ ('n_categories_' ~ feature.index) | ident }},
    {% elif has_moments %}
    {#- Squares of larger values overflow; such a column is refused. -#}
    avg(case when abs({{ feature.name | ident }}) <= {{ largest | literal }} then {{ feature.name | ident }} end)
        as {{ ('mean_' ~ feature.index) | ident }},
    stddev_pop(case when abs({{ feature.name | ident }}) <= {{ largest | literal }} then {{ feature.name | ident }} end)
        as {{ ('stddev_' ~ feature.index) | ident }},
    min({{ feature.name | ident }}) as {{ ('min_' ~ feature.index) | ident }},
    max({{ feature.name | ident }}) as {{ ('max_' ~ feature.index) | ident }},
    {% endif %}
    {% if feature.kind == 'number' %}
    count({{ feature.raw_name | ident }}) as {{ ('n_present_' ~ feature.index) | ident }},
    {% endif %}
    {% endfor %}
    count(*) as n_rows
from training_rows
