{#- Names: as in preprocessing_statistics.sql, the categorical features only. -#}
-- grain: one row per feature, category
-- unit:  feature is the position in the model, from 0
-- null:  category is null where a training row is
with training_rows as (
    select
        {% for feature in features %}
        {{ feature.value }} as {{ feature.name | ident }}{{ '' if loop.last else ',' }}
        {% endfor %}
    from {{ relation | ident }}
    where {{ split | ident }} = 'train'
),

final as (
    {% for feature in features %}
    {% if not loop.first %}
    union all
    {% endif %}
    select
        {{ feature.index }} as feature,
        {{ feature.name | ident }} as category
    from training_rows
    group by {{ feature.name | ident }}
    {% endfor %}
)

select
    feature,
    category
from final
order by feature, category
