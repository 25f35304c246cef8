-- grain: one row per unit, slice and metric; it takes the place of what metrics.sql made
-- unit:  as in metrics.sql
-- null:  all that tells a hidden value: value, variance, interval and denominators
-- A metric is hidden with all others that are as near to the answers as it is, or nearer: `families` numbers them. Metrics
-- that it does not name are as near as can be.
{# What stands behind [ or @ is the class or the further threshold that a rate is of; a metric over rows stands for itself,
   means over classes for each other. #}
{% set scope %}
case
        when strpos(shown.metric, '[') > 0 then substr(shown.metric, strpos(shown.metric, '['))
        when strpos(shown.metric, '@') > 0 then substr(shown.metric, strpos(shown.metric, '@'))
        {% for metric in own_metrics if metric.over == 'rows' %}
        when shown.metric = {{ metric.name | literal }} then shown.metric
        {% endfor %}
        {% for metric, scope in means.items() %}
        when shown.metric = {{ metric | literal }} then {{ scope | literal }}
        {% endfor %}
        else ''
    end
{%- endset %}
{% set base = "case when strpos(shown.metric, '@') > 0 then substr(shown.metric, 1, strpos(shown.metric, '@') - 1) else shown.metric end" %}
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
{{ create_scratch('wml_metric') }}
with hidden as (
    select
        hidden_slices.unit,
        hidden_slices.slice_set,
        hidden_slices.slice_value,
        hidden_slices.scope,
        min(hidden_slices.hidden_from) as hidden_from,
        min(hidden_slices.small_from) as small_from
    from wml_hidden as hidden_slices
    group by
        hidden_slices.unit,
        hidden_slices.slice_set,
        hidden_slices.slice_value,
        hidden_slices.scope
),

scoped as (
    select
        shown.unit,
        shown.slice_set,
        shown.slice_key,
        shown.slice_value,
        shown.metric,
        shown.value,
        shown.ci_lower,
        shown.ci_upper,
        shown.ci_method,
        shown.n,
        shown.denominator,
        shown.n_effective,
        shown.is_suppressed,
        shown.reason,
        shown.variance,
        {{ scope }} as scope,
        {{ family }} as family
    from wml_metric as shown
),

judged as (
    select
        scoped.unit,
        scoped.slice_set,
        scoped.slice_key,
        scoped.slice_value,
        scoped.metric,
        scoped.value,
        scoped.ci_lower,
        scoped.ci_upper,
        scoped.ci_method,
        scoped.n,
        scoped.denominator,
        scoped.n_effective,
        scoped.is_suppressed,
        scoped.reason,
        scoped.variance,
        hidden.hidden_from is not null as is_hidden,
        hidden.small_from <= scoped.family as is_small
    from scoped
    left join hidden
        on scoped.unit = hidden.unit
        and scoped.slice_set = hidden.slice_set
        and scoped.slice_value = hidden.slice_value
        and scoped.scope = hidden.scope
        and scoped.family >= hidden.hidden_from
        and scoped.metric not in ('n_requests', 'n_labelled', 'label_coverage')
)

select
    judged.unit,
    judged.slice_set,
    judged.slice_key,
    judged.slice_value,
    judged.metric,
    {% for name in ['value', 'ci_lower', 'ci_upper', 'ci_method'] %}
    case when not judged.is_hidden then judged.{{ name }} end as {{ name }},
    {% endfor %}
    judged.n,
    {% for name in ['denominator', 'n_effective'] %}
    case when not judged.is_hidden then judged.{{ name }} end as {{ name }},
    {% endfor %}
    judged.is_suppressed or judged.is_hidden as is_suppressed,
    case
        when not judged.is_hidden or judged.is_suppressed then judged.reason
        when judged.is_small
            then 'complementary: other metrics of the slice, below min_slice_size ' || {{ as_string(param('min_slice_size')) }} || ', could be derived'
        else 'complementary: a smaller slice could be derived'
    end as reason,
    case when not judged.is_hidden then judged.variance end as variance
from judged
