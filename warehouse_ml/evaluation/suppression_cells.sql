-- grain: one row per unit and combination of all slice columns in which a label and a prediction are known, or, with
--        metrics over rows, there are any rows
-- unit:  rows with a label and a prediction; n_own_* are those of which the metric is
-- null:  none; the counts of outcomes are of a binary task and 0 otherwise
{% set outcomes = {'positive': 'label = 1', 'negative': 'label = 0', 'selected': 'prediction = 1', 'rejected': 'prediction = 0'} %}
{% set over_rows = own_metrics | selectattr('over', 'equalto', 'rows') | list %}
{% set known = 'request_rows.label is not null and request_rows.prediction is not null' %}
with counted as (
    select
        request_rows.combination,
        {% for outcome, condition in outcomes.items() %}
        {{ count_where('request_rows.' ~ condition ~ ' and ' ~ known if task == 'binary' else 'false') }} as n_{{ outcome }},
        {% endfor %}
        {% for threshold in thresholds if columns.has_score %}
        {{ count_where('request_rows.score >= ' ~ (threshold | literal) ~ ' and ' ~ known) }} as n_selected_{{ loop.index }},
        {{ count_where('request_rows.score < ' ~ (threshold | literal) ~ ' and ' ~ known) }} as n_rejected_{{ loop.index }},
        {% endfor %}
        {% for metric in over_rows %}
        {{ as_int('count(request_rows.' ~ metric.column ~ ')') }} as n_{{ metric.column }},
        {% endfor %}
        {{ count_where(known) }} as n_rows
    from wml_rows as request_rows
    {% if not over_rows %}
    where {{ known }}
    {% endif %}
    group by request_rows.combination
)

select
    {{ as_int('combinations.unit') }} as unit,
    {% for name in names %}
    combinations.{{ name }},
    {% endfor %}
    {% for outcome in outcomes %}
    counted.n_{{ outcome }},
    {% endfor %}
    {% for threshold in thresholds if columns.has_score %}
    counted.n_selected_{{ loop.index }},
    counted.n_rejected_{{ loop.index }},
    {% endfor %}
    {% for metric in over_rows %}
    counted.n_{{ metric.column }},
    {% endfor %}
    counted.n_rows
from counted
inner join wml_combinations as combinations
    on counted.combination = combinations.combination
order by
    combinations.unit{% for name in names %},
    combinations.{{ name }}{% endfor %}

