-- grain: one row
-- unit:  counts of distinct values; lowest and highest value of each number where the answer is the lowest and highest
-- null:  a missing value counts as a value of its own
with answers as (
    select
{% for feature in features %}
        {{ feature.name | ident }},
{% endfor %}
        {{ as_string(label | ident) }} as wml_answer,
        dense_rank() over (order by {{ label | ident }} asc nulls last) as wml_answer_rank
    from {{ relation | ident }}
    where
        wml_split = 'train'
        and wml_row_hash < {{ param('most_hash') }}
)

select
    count(*) as n_rows,
    count(distinct wml_answer) as n_answers
{% for feature in features %}
    ,
    count(distinct coalesce({{ as_string(feature.name | ident) }}, '')) as n_values_{{ loop.index0 }},
    count(distinct concat(coalesce({{ as_string(feature.name | ident) }}, ''), '|', wml_answer)) as n_pairs_{{ loop.index0 }}
    {% if feature.is_number %}
    ,
    max(case when wml_answer_rank = 1 then {{ as_double(feature.name | ident) }} end) as lower_max_{{ loop.index0 }},
    min(case when wml_answer_rank > 1 then {{ as_double(feature.name | ident) }} end) as upper_min_{{ loop.index0 }},
    min(case when wml_answer_rank = 1 then {{ as_double(feature.name | ident) }} end) as lower_min_{{ loop.index0 }},
    max(case when wml_answer_rank > 1 then {{ as_double(feature.name | ident) }} end) as upper_max_{{ loop.index0 }}
    {% endif %}
{% endfor %}
from answers
