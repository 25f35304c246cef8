-- grain: one row per request and version of the due windows
-- unit:  as in rows.sql; combination as in combinations.sql; fold in 0, 1, ... parts the requests by a hash of their ids
-- null:  as in rows.sql; without weights there is no weight, which is 1
{{ create_scratch('wml_rows') }}
select
    combinations.unit,
    combinations.combination,
    {% if has_ids %}
    joined.request_id,
    {% endif %}
    {% if columns.has_weight %}
    joined.weight,
    {% endif %}
    joined.score,
    joined.prediction,
    {% for metric in own_metrics if metric.over == 'rows' %}
    joined.{{ metric.column }},
    {% endfor %}
    {% if own_metrics | selectattr('over', 'equalto', 'counts') | list %}
    mod({{ hash_int('joined.request_id') }}, {{ n_folds }}) as fold,
    {% endif %}
    joined.label
from wml_joined as joined
inner join wml_combinations as combinations
    on {% for key in window_keys %}{{ same('joined.' ~ key, 'combinations.' ~ key) }} and {% endfor %}true
    {% for name in names %}
    and joined.{{ name }} = combinations.{{ name }}
    {% endfor %}
