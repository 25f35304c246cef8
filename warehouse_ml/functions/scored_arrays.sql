-- grain: one row per row of the input
-- unit:  wml_score is a probability or, for a regression, the label's unit
-- null:  wml_prediction of a regression
select
    {% for name in keep %}
    wml_rows.wml_kept_{{ loop.index0 }} as {{ name | ident }},
    {% endfor %}
    wml_scored.score as wml_score,
    wml_scored.prediction as wml_prediction{% if has_probabilities %},
    wml_scored.probabilities as wml_probabilities{% endif %}

from ({{ rows }}) as wml_rows
inner join ({{ scores }}) as wml_scored
    on wml_rows.{{ row }} = wml_scored.{{ row }}
