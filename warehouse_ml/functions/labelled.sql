-- grain: one row per scored row
-- unit:  label is a class as text, or for a regression a number; score as the model gives it
-- null:  label where it is not known; prediction of a regression
select
    {% if form == 'number' %}
    {{ as_double('wml_scored.' ~ (label | ident)) }} as label,
    {% elif form == 'whole' %}
    {{ as_string(as_int('wml_scored.' ~ (label | ident))) }} as label,
    {% else %}
    {{ as_string('wml_scored.' ~ (label | ident)) }} as label,
    {% endif %}
    wml_scored.wml_score as score,
    wml_scored.wml_prediction as prediction{% if has_probabilities %},
    wml_scored.wml_probabilities as probabilities{% endif %}

from (
{{ scored }}
) as wml_scored
