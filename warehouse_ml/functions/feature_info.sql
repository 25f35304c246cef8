-- grain: one row per column that the model is trained on, in the order of the training query
-- unit:  min, max, mean, median and stddev as the column; stddev is that of the population, by which linear models
--        standardise
-- null:  min to stddev of what is no number, category_count of what is no category; dimension always
with trained as (
{{ rows }}
),

described as (
    select
{% for column in columns %}
        count(*) - count(trained.{{ column.name | ident }}) as null_count_{{ loop.index0 }},
{% if column.kind == 'number' %}
        min({{ finite('trained.' ~ (column.name | ident)) }}) as min_{{ loop.index0 }},
        max({{ finite('trained.' ~ (column.name | ident)) }}) as max_{{ loop.index0 }},
        avg({{ finite('trained.' ~ (column.name | ident)) }}) as mean_{{ loop.index0 }},
        {{ median(finite('trained.' ~ (column.name | ident))) }} as median_{{ loop.index0 }},
        stddev_pop({{ finite('trained.' ~ (column.name | ident)) }}) as stddev_{{ loop.index0 }},
{% elif column.kind in ('category', 'boolean') %}
        count(distinct trained.{{ column.name | ident }}) as category_count_{{ loop.index0 }},
{% endif %}
{% endfor %}
        count(*) as n_rows
    from trained
)

select
    info.input,
    info.min,
    info.max,
    info.mean,
    info.median,
    info.stddev,
    info.category_count,
    info.null_count,
    info.dimension
from (
{% for column in columns %}
{% set index = loop.index0 %}
    select
        {{ loop.index0 }} as position,
        {{ column.name | literal }} as input,
{% for statistic in ('min', 'max', 'mean', 'median', 'stddev') %}
        {{ as_double('described.' ~ statistic ~ '_' ~ index if column.kind == 'number' else 'null') }} as {{ statistic }},
{% endfor %}
        {{ as_int('described.category_count_' ~ loop.index0 if column.kind in ('category', 'boolean') else 'null') }} as category_count,
        described.null_count_{{ loop.index0 }} as null_count,
        {{ as_int('null') }} as dimension
    from described
{% if not loop.last %}
    union all
{% endif %}
{% endfor %}
) as info
order by info.position asc
