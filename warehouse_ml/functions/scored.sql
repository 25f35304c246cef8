-- grain: one row per row of the input
-- unit:  wml_score is a probability or, for a regression, the label's unit
-- null:  wml_prediction of a regression
with wml_rows as (
{{ rows }}
),

wml_input as (
    select
        {% for name in inputs %}
        wml_rows.{{ name | ident }}{% if keep or not loop.last %},{% endif %}

        {% endfor %}
        {% for name in keep %}
        wml_rows.{{ name | ident }} as wml_kept_{{ loop.index0 }}{% if not loop.last %},{% endif %}

        {% endfor %}
    from wml_rows
)

select
    {% for name in keep %}
    wml_scored.wml_kept_{{ loop.index0 }} as {{ name | ident }},
    {% endfor %}
    wml_scored.score as wml_score,
    wml_scored.prediction as wml_prediction{% if has_probabilities %},
    wml_scored.probabilities as wml_probabilities{% endif %}

from (
{{ scoring }}
) as wml_scored
