-- grain: one row per row of the input
-- unit:  probability in [0, 1]; attributions, baseline_prediction_value and prediction_value as the model adds them up
-- null:  the input's own columns as they are; never else
select
{% for name in outputs %}
    explained.{{ name | ident }},
{% endfor %}
{% for name in columns %}
    asked.{{ name | ident }}{% if not loop.last %},{% endif %}

{% endfor %}
from (
    select
        {{ explained_row | ident }} as explained_row,
        {{ predicted }},
{% for name in outputs[1:] %}
        {{ name | ident }}{% if not loop.last %},{% endif %}

{% endfor %}
    from (
{{ explained }}
    ) as wml_explained
) as explained
inner join {{ rows | ident }} as asked on explained.explained_row = asked.{{ row | ident }}
