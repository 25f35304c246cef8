-- grain: one row per unit and combination of all slice columns in which a label and a prediction are known
-- unit:  rows
-- null:  none; the counts of outcomes are of a binary task and 0 otherwise
{% set outcomes = {'positive': 'label = 1', 'negative': 'label = 0', 'selected': 'prediction = 1', 'rejected': 'prediction = 0'} %}
select
    {{ as_int('request_rows.unit') }} as unit,
    {% for name in names %}
    request_rows.{{ name }},
    {% endfor %}
    {{ as_int('count(*)') }} as n_rows{% for outcome, condition in outcomes.items() %},
    {{ count_where('request_rows.' ~ condition if task == 'binary' else 'false') }} as n_{{ outcome }}{% endfor %}

from wml_rows as request_rows
where request_rows.label is not null
    and request_rows.prediction is not null
group by
    request_rows.unit{% for name in names %},
    request_rows.{{ name }}{% endfor %}

order by
    request_rows.unit{% for name in names %},
    request_rows.{{ name }}{% endfor %}

