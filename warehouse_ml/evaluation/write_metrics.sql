-- grain: one row per evaluation_id, slice_key, slice_value, metric
-- unit:  as in metrics.sql
-- null:  as in metrics.sql; better, 'higher' or 'lower', of metrics that have no better side
insert into {{ 'metrics' | wml }} (
    evaluation_id,
    evaluation,
    model,
    version,
    window_start,
    window_end,
    as_of,
    slice_key,
    slice_value,
    metric,
    value,
    ci_lower,
    ci_upper,
    ci_method,
    n,
    denominator,
    is_suppressed,
    reason,
    better
)
select
    due.evaluation_id,
    {{ param('evaluation') }} as evaluation,
    {{ param('model') }} as model,
    due.version,
    due.window_start,
    due.window_end,
    {{ param('as_of') }} as as_of,
    shown.slice_key,
    shown.slice_value,
    shown.metric,
    shown.value,
    shown.ci_lower,
    shown.ci_upper,
    shown.ci_method,
    shown.n,
    shown.denominator,
    shown.is_suppressed,
    shown.reason,
    case
        {% for way, metrics in better.items() if metrics %}
        when shown.metric in ({% for name in metrics %}{{ name | literal }}{% if not loop.last %}, {% endif %}{% endfor %}) then {{ way | literal }}
        {% endfor %}
        {% if task == 'multiclass' %}
        when shown.metric like 'precision[%' or shown.metric like 'recall[%' or shown.metric like 'f1[%' then 'higher'
        {% endif %}
    end as better
from wml_metric as shown
inner join wml_due as due
    on shown.unit = due.unit
