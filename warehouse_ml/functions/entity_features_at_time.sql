-- grain: one row per row asked and row of its entity that is among the latest up to its time; at least one per row asked
-- unit:  as in the features; feature_timestamp is the row's own, time the instant asked for
-- null:  every feature and feature_timestamp where the entity has nothing by then
with wml_features as (
{{ features }}
),

wml_asked as (
{{ asked }}
),

{% if num_rows == 1 and not ignore_nulls %}
known as (
    select
        {% for name in columns %}
        wml_features.{{ name | ident }}{% if not loop.last %},{% endif %}

        {% endfor %}
    from wml_features
    where wml_features.entity_id is not null
        and wml_features.feature_timestamp is not null
),

-- One row for an entity and instant, so that the join finds the same one every time. Where there are several, the one
-- whose columns are greatest; only these few are sorted.
ties as (
    select
        known.entity_id,
        known.feature_timestamp
    from known
    group by
        known.entity_id,
        known.feature_timestamp
    having count(*) > 1
),

chosen as (
    select
        {% for name in columns %}
        known.{{ name | ident }},
        {% endfor %}
        row_number() over (
            partition by known.entity_id, known.feature_timestamp
            order by
                known.feature_timestamp{% for name in values %},
                known.{{ name | ident }} desc nulls last{% endfor %}

        ) as wml_rank
    from known
    inner join ties
        on known.entity_id = ties.entity_id
        and known.feature_timestamp = ties.feature_timestamp
),

latest as (
    select
        {% for name in columns %}
        known.{{ name | ident }}{% if not loop.last %},{% endif %}

        {% endfor %}
    from known
    where not exists (
        select 1
        from ties
        where known.entity_id = ties.entity_id
            and known.feature_timestamp = ties.feature_timestamp
    )
    union all
    select
        {% for name in columns %}
        chosen.{{ name | ident }}{% if not loop.last %},{% endif %}

        {% endfor %}
    from chosen
    where chosen.wml_rank = 1
)

select
    {% for name in columns %}
    {% if name | lower == 'entity_id' %}
    wml_asked.entity_id as {{ name | ident }},
    {% else %}
    latest.{{ name | ident }},
    {% endif %}
    {% endfor %}
    wml_asked.time
from wml_asked
{{ asof_join('wml_asked', 'latest', 'latest', ['entity_id'], 'time', 'feature_timestamp') }}
{% else %}
-- The rows of an entity are numbered in time; those wanted are the last ones up to the number reached at the instant.
numbered as (
    select
        {% for name in columns %}
        {% if ignore_nulls and name in values %}
        last_value(wml_features.{{ name | ident }} ignore nulls) over (in_time rows between unbounded preceding and current row) as {{ name | ident }},
        {% else %}
        wml_features.{{ name | ident }},
        {% endif %}
        {% endfor %}
        row_number() over in_time as wml_position
    from wml_features
    where wml_features.entity_id is not null
        and wml_features.feature_timestamp is not null
    window in_time as (
        partition by wml_features.entity_id
        order by
            wml_features.feature_timestamp asc{% for name in values %},
            wml_features.{{ name | ident }} asc nulls first{% endfor %}

    )
),

instants as (
    select
        numbered.entity_id,
        numbered.feature_timestamp,
        max(numbered.wml_position) as wml_position
    from numbered
    group by
        numbered.entity_id,
        numbered.feature_timestamp
),

reached as (
    select
        wml_asked.entity_id,
        wml_asked.time,
        instants.wml_position
    from wml_asked
    {{ asof_join('wml_asked', 'instants', 'instants', ['entity_id'], 'time', 'feature_timestamp') }}
)

select
    {% for name in columns %}
    {% if name | lower == 'entity_id' %}
    reached.entity_id as {{ name | ident }},
    {% else %}
    numbered.{{ name | ident }},
    {% endif %}
    {% endfor %}
    reached.time
from reached
left join numbered
    on reached.entity_id = numbered.entity_id
    {% if num_rows == 1 %}
    and reached.wml_position = numbered.wml_position
    {% else %}
    and numbered.wml_position <= reached.wml_position
    and numbered.wml_position > reached.wml_position - {{ num_rows }}
    {% endif %}
{% endif %}
