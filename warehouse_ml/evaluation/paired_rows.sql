-- grain: one row per pair and request that both versions answered and whose label is known
-- unit:  as in rows.sql; other_* is of the earlier version; slices and weight are the later version's
-- null:  score and other_score where the join has none
{{ create_scratch('wml_paired') }}
select
    pairs.pair,
    {% for name in names %}
    joined.{{ name }},
    {% endfor %}
    joined.label,
    {{ 'joined.weight' if columns.has_weight else '1e0' }} as weight,
    joined.score,
    others.score as other_score,
    joined.prediction,
    others.prediction as other_prediction
from wml_pairs as pairs
inner join wml_joined as joined
    on {{ same('pairs.window_start', 'joined.window_start') }}
    and pairs.version = joined.version
inner join wml_joined as others
    on joined.request_id = others.request_id
    and {{ same('joined.window_start', 'others.window_start') }}
    and pairs.other_version = others.version
where joined.label is not null
    and joined.prediction is not null
    and others.prediction is not null
