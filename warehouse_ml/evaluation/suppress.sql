-- grain: changes wml_metric: one row per unit, slice and metric
-- unit:  as in metrics.sql
-- null:  all that tells a hidden value: value, variance, interval and denominators
-- A metric is hidden with all others that are as near to the answers as it is, or nearer: `families` numbers them. Metrics
-- that it does not name are as near as can be.
{# What stands behind [ or @ is the class or the further threshold that a rate is of; a metric over rows stands for itself. #}
{% set scope %}
case
        when strpos(wml_metric.metric, '[') > 0 then substr(wml_metric.metric, strpos(wml_metric.metric, '['))
        when strpos(wml_metric.metric, '@') > 0 then substr(wml_metric.metric, strpos(wml_metric.metric, '@'))
        {% for metric in own_metrics if metric.over == 'rows' %}
        when wml_metric.metric = {{ metric.name | literal }} then wml_metric.metric
        {% endfor %}
        else ''
    end
{%- endset %}
{% set base = "case when strpos(wml_metric.metric, '@') > 0 then substr(wml_metric.metric, 1, strpos(wml_metric.metric, '@') - 1) else wml_metric.metric end" %}
{% set family %}
{% if families %}
case
        {% for number, members in families.items() %}
        when {{ base }} in ({% for name in members %}{{ name | literal }}{% if not loop.last %}, {% endif %}{% endfor %}) then {{ number }}
        {% endfor %}
        else {{ n_families }}
    end
{%- else %}
{{ n_families }}
{%- endif %}
{% endset %}
update wml_metric
set
    value = null,
    variance = null,
    ci_lower = null,
    ci_upper = null,
    ci_method = null,
    denominator = null,
    n_effective = null,
    is_suppressed = true,
    reason = case
        when wml_metric.is_suppressed then wml_metric.reason
        when hidden.small_from <= {{ family }}
            then 'complementary: other metrics of the slice, below min_slice_size ' || {{ as_string(param('min_slice_size')) }} || ', could be derived'
        else 'complementary: a smaller slice could be derived'
    end
from wml_hidden as hidden
where wml_metric.unit = hidden.unit
    and wml_metric.slice_set = hidden.slice_set
    and wml_metric.slice_value = hidden.slice_value
    and wml_metric.metric not in ('n_requests', 'n_labelled', 'label_coverage')
    and {{ scope }} = hidden.scope
    and {{ family }} >= hidden.hidden_from
