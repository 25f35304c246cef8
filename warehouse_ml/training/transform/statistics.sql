{#- Names: `relation`; `split`, the column that says train, eval or test; `numbers`, each with value (an expression),
    name and shares; `aggregates`, expressions by name. -#}
-- grain: one row
-- unit:  n_* are counts of training rows; the others are in the unit of the value
-- null:  null where every training value is; missing values are in no statistic
with training_rows as (
    select
        read_rows.*,
        {% for number in numbers %}
        {{ number.value }} as {{ number.name | ident }},
        {% endfor %}
        1 as wml_one
    from {{ relation | ident }} as read_rows
    where read_rows.{{ split | ident }} = 'train'
)

select
    {% for number in numbers %}
    count({{ number.name | ident }}) as n_{{ loop.index0 }},
    {#- Squares of larger values overflow; such a column is refused. -#}
    avg(case when abs({{ number.name | ident }}) <= {{ largest | literal }} then {{ number.name | ident }} end)
        as mean_{{ loop.index0 }},
    stddev_pop(case when abs({{ number.name | ident }}) <= {{ largest | literal }} then {{ number.name | ident }} end)
        as stddev_{{ loop.index0 }},
    min({{ number.name | ident }}) as min_{{ loop.index0 }},
    max({{ number.name | ident }}) as max_{{ loop.index0 }},
    {% if number.shares %}
    {{ quantiles_at(number.name | ident, number.shares) }} as quantiles_{{ loop.index0 }},
    {% endif %}
    {% endfor %}
    {% for name, value in aggregates.items() %}
    {{ value }} as {{ name | ident }},
    {% endfor %}
    count(*) as n_rows
from training_rows
