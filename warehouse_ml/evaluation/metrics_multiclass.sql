-- grain: one row per unit, slice and metric; multiclass
-- unit:  rates in [0, 1]
-- null:  value where nothing is labelled; ci_lower and ci_upper where metrics.sql makes them
-- As scikit-learn: macro is the plain mean over classes that occur as label or prediction, weighted the mean by label
-- count, micro the rate over all decisions, which is accuracy here. Inside a mean over classes, a precision of a class
-- that is never predicted, or a recall of one that never occurs, counts as 0.
-- A mean of rates over classes has Newcombe's interval: the distances to Wilson's bounds of each class, squared, added up.
-- Others are linearised over the cells of label and prediction; which classes there are is taken as given.
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
        sum(case when confusion.label = confusion.prediction then confusion.weight else 0e0 end) as correct,
        sum(case when confusion.label = confusion.prediction then confusion.weight_squares else 0e0 end) as correct_squares
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
        case when confusion.label = confusion.prediction then confusion.weight_squares else 0e0 end as correct_squares,
        confusion.weight as labelled,
        confusion.weight_squares as labelled_squares,
        0e0 as predicted,
        0e0 as predicted_squares
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
        0e0 as correct_squares,
        0e0 as labelled,
        0e0 as labelled_squares,
        confusion.weight as predicted,
        confusion.weight_squares as predicted_squares
    from wml_confusion as confusion
    where confusion.label is not null
        and confusion.prediction is not null
),

counted as (
    select
        sides.unit,
        sides.slice_set,
        sides.slice_value,
        sides.class,
        {% for name in ['correct', 'labelled', 'predicted'] %}
        sum(sides.{{ name }}) as {{ name }},
        sum(sides.{{ name }}_squares) as {{ name }}_squares{% if not loop.last %},{% endif %}

        {% endfor %}
    from sides
    group by
        sides.unit,
        sides.slice_set,
        sides.slice_value,
        sides.class
),

classes as (
    select
        counted.unit,
        counted.slice_set,
        counted.slice_value,
        counted.class,
        counted.labelled,
        counted.predicted,
        coalesce({{ safe_divide('counted.correct', 'counted.predicted') }}, 0e0) as precision_rate,
        coalesce({{ safe_divide('counted.correct', 'counted.labelled') }}, 0e0) as recall_rate,
        coalesce({{ safe_divide('2e0 * counted.correct', 'counted.labelled + counted.predicted') }}, 0e0) as f1_rate,
        {% if columns.has_weight %}
        {{ effective_rows('counted.correct', 'counted.predicted', 'counted.correct_squares', 'counted.predicted_squares') }} as precision_rows,
        {% else %}
        counted.predicted as precision_rows,
        {% endif %}
        {% if columns.has_weight %}
        {{ effective_rows('counted.correct', 'counted.labelled', 'counted.correct_squares', 'counted.labelled_squares') }} as recall_rows
        {% else %}
        counted.labelled as recall_rows
        {% endif %}
    from counted
),

means as (
    select
        classes.unit,
        classes.slice_set,
        classes.slice_value,
        avg(case when classes.labelled > 0 then classes.recall_rate end) as balanced_accuracy,
        {% for rate in rates %}
        avg(classes.{{ rate }}_rate) as {{ rate }}_macro,
        {{ safe_divide('sum(classes.labelled * classes.' ~ rate ~ '_rate)', 'sum(classes.labelled)') }} as {{ rate }}_weighted,
        {% endfor %}
        {% for rate in ['precision', 'recall'] %}
        sum({{ safe_divide('classes.' ~ rate ~ '_rate * (1e0 - classes.' ~ rate ~ '_rate)', 'classes.' ~ rate ~ '_rows') }}) as {{ rate }}_variance,
        {% for bound, wilson_bound in {'lower': wilson_lower, 'upper': wilson_upper}.items() %}
        sqrt(sum(
            case
                when classes.{{ rate }}_rows > 0
                    then power({{ wilson_bound('classes.' ~ rate ~ '_rate', 'classes.' ~ rate ~ '_rows') }} - classes.{{ rate }}_rate, 2)
                else 0e0
            end
        )) as {{ rate }}_{{ bound }},
        {% endfor %}
        {% endfor %}
        {{ as_double('sum(case when classes.labelled > 0 then 1 end)') }} as n_labels,
        {{ as_double('count(*)') }} as n_classes
    from classes
    group by
        classes.unit,
        classes.slice_set,
        classes.slice_value
),

influences as (
    select
        confusion.unit,
        confusion.slice_set,
        confusion.slice_value,
        confusion.weight_squares,
        -- Of a row on the F1 of its label's class and of its prediction's: one class where they are the same.
        case
            when confusion.label = confusion.prediction then {{ safe_divide('2e0 - 2e0 * own.f1_rate', 'own.labelled + own.predicted') }}
            else -{{ safe_divide('own.f1_rate', 'own.labelled + own.predicted') }} - {{ safe_divide('called.f1_rate', 'called.labelled + called.predicted') }}
        end as f1_macro,
        own.f1_rate + case
            when confusion.label = confusion.prediction
                then own.labelled * {{ safe_divide('2e0 - 2e0 * own.f1_rate', 'own.labelled + own.predicted') }}
            else -own.labelled * {{ safe_divide('own.f1_rate', 'own.labelled + own.predicted') }}
                - called.labelled * {{ safe_divide('called.f1_rate', 'called.labelled + called.predicted') }}
        end as f1_weighted,
        own.precision_rate
            + called.labelled * {{ safe_divide(
                'case when confusion.label = confusion.prediction then 1e0 else 0e0 end - called.precision_rate', 'called.predicted'
            ) }} as precision_weighted
    from wml_confusion as confusion
    inner join classes as own
        on confusion.unit = own.unit
        and confusion.slice_set = own.slice_set
        and confusion.slice_value = own.slice_value
        and confusion.label = own.class
    inner join classes as called
        on confusion.unit = called.unit
        and confusion.slice_set = called.slice_set
        and confusion.slice_value = called.slice_value
        and confusion.prediction = called.class
),

variances as (
    select
        influences.unit,
        influences.slice_set,
        influences.slice_value,
        sum(influences.weight_squares * influences.f1_macro * influences.f1_macro) as f1_macro,
        {% for name in ['f1_weighted', 'precision_weighted'] %}
        sum(influences.weight_squares * influences.{{ name }}) as {{ name }},
        sum(influences.weight_squares * influences.{{ name }} * influences.{{ name }}) as {{ name }}_squares{% if not loop.last %},{% endif %}

        {% endfor %}
    from influences
    group by
        influences.unit,
        influences.slice_set,
        influences.slice_value
)

select
    totals.unit,
    totals.slice_set,
    totals.slice_value,
    totals.n_labelled,
    totals.n_rows,
    metric_names.metric,
    case
        when metric_names.metric in ('label_coverage', 'accuracy', 'recall_weighted'{% for rate in rates %}, '{{ rate }}_micro'{% endfor %}) then {{ wilson | literal }}
        when metric_names.metric in ('balanced_accuracy', 'precision_macro', 'recall_macro') then 'newcombe'
        when metric_names.metric in ('f1_macro', 'f1_weighted', 'precision_weighted') then 'logit'
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
    case metric_names.metric
        when 'balanced_accuracy' then {{ safe_divide('means.recall_variance', 'means.n_labels * means.n_labels') }}
        when 'recall_macro' then {{ safe_divide('means.recall_variance', 'means.n_classes * means.n_classes') }}
        when 'precision_macro' then {{ safe_divide('means.precision_variance', 'means.n_classes * means.n_classes') }}
        when 'f1_macro' then {{ safe_divide('variances.f1_macro', 'means.n_classes * means.n_classes') }}
        {% for name in ['f1_weighted', 'precision_weighted'] %}
        when '{{ name }}' then {{ safe_divide(
            'variances.' ~ name ~ '_squares - 2e0 * means.' ~ name ~ ' * variances.' ~ name ~ ' + means.' ~ name ~ ' * means.' ~ name ~ ' * totals.weight_squares',
            'totals.weight * totals.weight'
        ) }}
        {% endfor %}
    end as variance,
    {% for bound, sign in {'lower': '-', 'upper': '+'}.items() %}
    case metric_names.metric
        when 'balanced_accuracy' then means.balanced_accuracy {{ sign }} {{ safe_divide('means.recall_' ~ bound, 'means.n_labels') }}
        when 'recall_macro' then means.recall_macro {{ sign }} {{ safe_divide('means.recall_' ~ bound, 'means.n_classes') }}
        when 'precision_macro' then means.precision_macro {{ sign }} {{ safe_divide('means.precision_' ~ bound, 'means.n_classes') }}
    end as ci_{{ bound }},
    {% endfor %}
    case metric_names.metric
        when 'n_requests' then null
        when 'n_labelled' then null
        when 'label_coverage' then totals.n_requests
        else totals.weight
    end as denominator,
    case
        when metric_names.metric in ('n_requests', 'n_labelled') then null
        when metric_names.metric = 'label_coverage' then totals.n_requests
        when metric_names.metric in ('accuracy', 'recall_weighted'{% for rate in rates %}, '{{ rate }}_micro'{% endfor %})
            then {{ effective_rows('totals.correct', 'totals.weight', 'totals.correct_squares', 'totals.weight_squares') }}
        else {{ safe_divide('totals.weight * totals.weight', 'totals.weight_squares') }}
    end as n_effective,
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
left join variances
    on totals.unit = variances.unit
    and totals.slice_set = variances.slice_set
    and totals.slice_value = variances.slice_value
cross join {{ names_table('metric', metrics + ['precision_macro', 'precision_micro', 'precision_weighted', 'recall_macro', 'recall_micro', 'recall_weighted', 'f1_macro', 'f1_micro', 'f1_weighted']) }} as metric_names
