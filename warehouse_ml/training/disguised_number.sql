-- grain: one row
-- unit:  absolute correlation with the label, in [0, 1]
-- null:  null where either is constant
select
    count(*) as n_rows
{% for feature in features %}
    ,
    abs(corr({{ as_double(feature.name | ident) }}, {{ as_double(label | ident) }})) as correlation_{{ loop.index0 }},
    count({{ feature.name | ident }}) as n_values_{{ loop.index0 }}
{% endfor %}
from {{ relation | ident }}
where
    wml_split = 'train'
    and wml_row_hash < {{ param('most_hash') }}
