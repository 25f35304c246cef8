-- grain: one row per unit, slice and metric; multiclass
-- unit:  rates in [0, 1]
-- null:  value where nothing is labelled
-- As scikit-learn: macro is the plain mean over classes that occur as label or prediction, weighted the mean by label
-- count, micro the rate over all decisions, which is accuracy here. Inside a mean over classes, a precision of a class
-- that is never predicted, or a recall of one that never occurs, counts as 0.
{% set rates = ['precision', 'recall', 'f1'] %}
{% set metrics = ['n_requests', 'n_labelled', 'label_coverage', 'accuracy', 'balanced_accuracy'] %}
{{ create_scratch('wml_measured') }}
with totals as (
    select
        confusion.unit,
        confusion.slice_set,
        confusion.slice_value,
        sum(confusion.n_rows) as n_requests,
        sum(case when confusion.label is not null then confusion.n_rows else 0 end) as n_labelled,
        sum(case when confusion.label is not null and confusion.prediction is not null then confusion.n_rows else 0 end) as n_rows,
        sum(case when confusion.label is not null and confusion.prediction is not null then confusion.weight else 0e0 end) as weight,
        sum(
            case when confusion.label is not null and confusion.prediction is not null then confusion.weight_squares else 0e0 end
        ) as weight_squares,
        sum(case when confusion.label = confusion.prediction then confusion.weight else 0e0 end) as correct
    from wml_confusion as confusion
    group by
        confusion.unit,
        confusion.slice_set,
        confusion.slice_value
),

sides as (
    select
        confusion.unit,
        confusion.slice_set,
        confusion.slice_value,
        confusion.label as class,
        case when confusion.label = confusion.prediction then confusion.weight else 0e0 end as correct,
        confusion.weight as labelled,
        0e0 as predicted
    from wml_confusion as confusion
    where confusion.label is not null
        and confusion.prediction is not null
    union all
    select
        confusion.unit,
        confusion.slice_set,
        confusion.slice_value,
        confusion.prediction as class,
        0e0 as correct,
        0e0 as labelled,
        confusion.weight as predicted
    from wml_confusion as confusion
    where confusion.label is not null
        and confusion.prediction is not null
),

classes as (
    select
        sides.unit,
        sides.slice_set,
        sides.slice_value,
        sides.class,
        sum(sides.labelled) as labelled,
        coalesce({{ safe_divide('sum(sides.correct)', 'sum(sides.predicted)') }}, 0e0) as precision_rate,
        coalesce({{ safe_divide('sum(sides.correct)', 'sum(sides.labelled)') }}, 0e0) as recall_rate,
        coalesce({{ safe_divide('2e0 * sum(sides.correct)', 'sum(sides.labelled) + sum(sides.predicted)') }}, 0e0) as f1_rate
    from sides
    group by
        sides.unit,
        sides.slice_set,
        sides.slice_value,
        sides.class
),

means as (
    select
        classes.unit,
        classes.slice_set,
        classes.slice_value,
        avg(case when classes.labelled > 0 then classes.recall_rate end) as balanced_accuracy,
        {% for rate in rates %}
        avg(classes.{{ rate }}_rate) as {{ rate }}_macro,
        {{ safe_divide('sum(classes.labelled * classes.' ~ rate ~ '_rate)', 'sum(classes.labelled)') }} as {{ rate }}_weighted{% if not loop.last %},{% endif %}

        {% endfor %}
    from classes
    group by
        classes.unit,
        classes.slice_set,
        classes.slice_value
)

select
    totals.unit,
    totals.slice_set,
    totals.slice_value,
    totals.n_labelled,
    totals.n_rows,
    metric_names.metric,
    case
        when metric_names.metric in ('label_coverage', 'accuracy'{% for rate in rates %}, '{{ rate }}_micro'{% endfor %}) then {{ wilson | literal }}
    end as ci_method,
    case metric_names.metric
        when 'n_requests' then totals.n_requests
        when 'n_labelled' then totals.n_labelled
        when 'label_coverage' then {{ safe_divide('totals.n_labelled', 'totals.n_requests') }}
        when 'accuracy' then {{ safe_divide('totals.correct', 'totals.weight') }}
        when 'balanced_accuracy' then means.balanced_accuracy
        {% for rate in rates %}
        when '{{ rate }}_macro' then means.{{ rate }}_macro
        when '{{ rate }}_micro' then {{ safe_divide('totals.correct', 'totals.weight') }}
        when '{{ rate }}_weighted' then means.{{ rate }}_weighted
        {% endfor %}
    end as value,
    cast(null as {{ type('double') }}) as variance,
    case metric_names.metric
        when 'n_requests' then null
        when 'n_labelled' then null
        when 'label_coverage' then totals.n_requests
        else totals.weight
    end as denominator,
    case metric_names.metric
        when 'label_coverage' then totals.n_requests
        else totals.weight_squares
    end as denominator_squares,
    case metric_names.metric
        when 'label_coverage' then totals.n_requests
        else totals.n_rows
    end as n_own,
    case
        when totals.n_labelled = 0 then 'no labels known at as_of'
        when totals.n_rows = 0 then 'no predictions'
        else 'denominator is 0'
    end as null_reason
from totals
left join means
    on totals.unit = means.unit
    and totals.slice_set = means.slice_set
    and totals.slice_value = means.slice_value
cross join {{ names_table('metric', metrics + ['precision_macro', 'precision_micro', 'precision_weighted', 'recall_macro', 'recall_micro', 'recall_weighted', 'f1_macro', 'f1_micro', 'f1_weighted']) }} as metric_names
