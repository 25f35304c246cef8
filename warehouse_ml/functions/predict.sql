{#- Names: `scored`, the text of a query; `projections`, expressions with their names. -#}
-- grain: one row per row of the input
-- unit:  as documented for ml.predict; the input's columns as they are
-- null:  as in the input; a prediction is never null
select
    {% for projection in projections %}
    {{ projection }}{% if not loop.last %},{% endif %}

    {% endfor %}
from (
{{ scored }}
) as wml_predicted
