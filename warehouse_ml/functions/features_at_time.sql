-- grain: one row per entity and row of it that is among its latest up to the instant; at least one per entity
-- unit:  as in the features; feature_timestamp is the row's own
-- null:  every feature and feature_timestamp of an entity that has nothing by then
with wml_features as (
{{ features }}
),

asked as (
    select cast((
{{ time }}
    ) as {{ type('timestamp') }}) as wml_time
),

known as (
    select
        {% for name in columns %}
        wml_features.{{ name | ident }},
        {% endfor %}
        coalesce(wml_features.feature_timestamp <= asked.wml_time, false) as wml_is_known
    from wml_features
    cross join asked
    where wml_features.entity_id is not null
),

{# Rows that are not known yet come after all others, so that nothing is carried back from them. #}
{% set rows = namespace(source='known') %}
{% if ignore_nulls %}
{% set rows.source = 'filled' %}
filled as (
    select
        {% for name in columns %}
        {% if name in values %}
        last_value(known.{{ name | ident }} ignore nulls) over (in_time rows between unbounded preceding and current row) as {{ name | ident }},
        {% else %}
        known.{{ name | ident }},
        {% endif %}
        {% endfor %}
        known.wml_is_known,
        row_number() over in_time as wml_position
    from known
    window in_time as (
        partition by known.entity_id
        order by
            known.wml_is_known desc,
            known.feature_timestamp asc{% for name in values %},
            known.{{ name | ident }} asc nulls first{% endfor %}

    )
),

{% endif %}
latest as (
    select
        {% for name in columns %}
        {{ rows.source }}.{{ name | ident }},
        {% endfor %}
        {{ rows.source }}.wml_is_known,
        row_number() over (
            partition by {{ rows.source }}.entity_id
            order by
                {{ rows.source }}.wml_is_known desc,
                {% if ignore_nulls %}
                filled.wml_position desc
                {% else %}
                known.feature_timestamp desc{% for name in values %},
                known.{{ name | ident }} desc nulls last{% endfor %}

                {% endif %}
        ) as wml_rank
    from {{ rows.source }}
)

select
    {% for name in columns %}
    {% if name | lower == 'entity_id' %}
    latest.{{ name | ident }}{% if not loop.last %},{% endif %}

    {% else %}
    case when latest.wml_is_known then latest.{{ name | ident }} end as {{ name | ident }}{% if not loop.last %},{% endif %}

    {% endif %}
    {% endfor %}
from latest
where latest.wml_rank = 1
    or (latest.wml_is_known and latest.wml_rank <= {{ num_rows }})
