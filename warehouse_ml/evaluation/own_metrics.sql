-- grain: one row per unit, slice and metric that the evaluation file defines
-- unit:  the metric's own; n_own counts the rows that it is of, denominator is the sum of their weights
-- null:  value where the expression is null, or not finite; variance of fewer than two groups of requests, or of rows
-- The variance of an expression over counts is the delete-a-group jackknife's: requests fall into {{ n_folds }} groups by a hash
-- of the request_id, each group is left out once, and the spread of what is left is scaled up.
{% set over_counts = own_metrics | selectattr('over', 'equalto', 'counts') | list %}
{% set over_rows = own_metrics | selectattr('over', 'equalto', 'rows') | list %}
{% set counts = {
    'binary': ['true_positives', 'false_positives', 'true_negatives', 'false_negatives', 'sum_score', 'sum_label'],
    'multiclass': ['n_correct'],
    'regression': ['sum_prediction', 'sum_label', 'sum_error', 'sum_absolute_error', 'sum_squared_error'],
}[task] %}
{% set of_rows = ['n', 'weight', 'weight_squares', 'sum', 'squares'] %}
{% set outcomes = {
    'true_positives': (1, 1), 'false_positives': (0, 1), 'true_negatives': (0, 0), 'false_negatives': (1, 0),
} %}
{% macro sums_of(relation) %}
        {% for name in ['n_requests', 'n_labelled', 'n_known', 'n', 'n_squares'] + counts %}
        sum({{ relation }}.{{ name }}) as {{ name }}{% if not loop.last or over_rows %},{% endif %}

        {% endfor %}
        {% for metric in over_rows %}
        {% set last_metric = loop.last %}
        {% for part in of_rows %}
        sum({{ relation }}.{{ metric.column }}_{{ part }}) as {{ metric.column }}_{{ part }}{% if not (last_metric and loop.last) %},{% endif %}

        {% endfor %}
        {% endfor %}
{% endmacro %}
insert into wml_measured (
    unit,
    slice_set,
    slice_value,
    n_labelled,
    n_rows,
    metric,
    ci_method,
    value,
    variance,
    denominator,
    n_effective,
    n_own,
    null_reason
)
with known as (
    select
        request_rows.*,
        {% if not columns.has_weight %}
        1e0 as weight,
        {% endif %}
        case when request_rows.label is not null and request_rows.prediction is not null then {{ row_weight }} else 0e0 end as known_weight
    from wml_rows as request_rows
),

terms as (
    select
        known.combination,
        {{ 'known.fold' if over_counts else '0' }} as fold,
        {% if task == 'binary' %}
        {% for name, (label, prediction) in outcomes.items() %}
        case when known.label = {{ label }} and known.prediction = {{ prediction }} then known.weight else 0e0 end as {{ name }},
        {% endfor %}
        case when known.score is not null then known.known_weight * known.score else 0e0 end as sum_score,
        case when known.known_weight > 0 then known.known_weight * known.label else 0e0 end as sum_label,
        {% elif task == 'multiclass' %}
        case when known.label = known.prediction then known.weight else 0e0 end as n_correct,
        {% else %}
        case when known.known_weight > 0 then known.known_weight * known.prediction else 0e0 end as sum_prediction,
        case when known.known_weight > 0 then known.known_weight * known.label else 0e0 end as sum_label,
        case when known.known_weight > 0 then known.known_weight * (known.prediction - known.label) else 0e0 end as sum_error,
        case when known.known_weight > 0 then known.known_weight * abs(known.prediction - known.label) else 0e0 end as sum_absolute_error,
        case
            when known.known_weight > 0
                then known.known_weight * (known.prediction - known.label) * (known.prediction - known.label)
            else 0e0
        end as sum_squared_error,
        {% endif %}
        {% for metric in over_rows %}
        case when known.{{ metric.column }} is not null then 1 else 0 end as {{ metric.column }}_n,
        case when known.{{ metric.column }} is not null then known.weight else 0e0 end as {{ metric.column }}_weight,
        case when known.{{ metric.column }} is not null then known.weight * known.weight else 0e0 end as {{ metric.column }}_weight_squares,
        case when known.{{ metric.column }} is not null then known.weight * known.{{ metric.column }} else 0e0 end as {{ metric.column }}_sum,
        case
            when known.{{ metric.column }} is not null then known.weight * known.{{ metric.column }} * known.{{ metric.column }}
            else 0e0
        end as {{ metric.column }}_squares,
        {% endfor %}
        1 as n_requests,
        case when known.label is not null then 1 else 0 end as n_labelled,
        case when known.label is not null and known.prediction is not null then 1 else 0 end as n_known,
        known.known_weight as n,
        known.known_weight * known.known_weight as n_squares
    from known
),

-- The finest cells: the rows are summed once, and every slice is a sum of cells.
finest as (
    select
        terms.combination,
        terms.fold,
{{ sums_of('terms') }}    from terms
    group by
        terms.combination,
        terms.fold
),

cells as (
    select
        combinations.unit,
        {{ grouped_slice(slices, names) }},
        finest.fold,
{{ sums_of('finest') }}    from finest
    inner join wml_combinations as combinations
        on finest.combination = combinations.combination
    group by grouping sets (
        {% for slice in slices %}
        (combinations.unit, {% for name in slice.names %}{{ name }}, {% endfor %}finest.fold){% if not loop.last %},{% endif %}

        {% endfor %}
    )
),

totals as (
    select
        cells.unit,
        cells.slice_set,
        cells.slice_value,
        count(*) as n_folds,
{{ sums_of('cells') }}    from cells
    group by
        cells.unit,
        cells.slice_set,
        cells.slice_value
),

{% if over_counts %}
whole as (
    select
        totals.unit,
        totals.slice_set,
        totals.slice_value,
        {% for metric in over_counts %}
        {{ finite(metric.sql('totals', dialect)) }} as {{ metric.column }}{% if not loop.last %},{% endif %}

        {% endfor %}
    from totals
),

left_out as (
    select
        totals.unit,
        totals.slice_set,
        totals.slice_value,
        {% for name in ['n_requests', 'n_labelled', 'n'] + counts %}
        totals.{{ name }} - cells.{{ name }} as {{ name }}{% if not loop.last %},{% endif %}

        {% endfor %}
    from totals
    inner join cells
        on totals.unit = cells.unit
        and totals.slice_set = cells.slice_set
        and totals.slice_value = cells.slice_value
    where totals.n_folds > 1
),

without as (
    select
        left_out.unit,
        left_out.slice_set,
        left_out.slice_value,
        {% for metric in over_counts %}
        {{ finite(metric.sql('left_out', dialect)) }} as {{ metric.column }}{% if not loop.last %},{% endif %}

        {% endfor %}
    from left_out
),

spread as (
    select
        whole.unit,
        whole.slice_set,
        whole.slice_value,
        {% for metric in over_counts %}
        -- Where the expression is null without one of the groups, its spread is not known.
        case
            when count(without.{{ metric.column }}) = count(*)
                then {{ (n_folds - 1) / n_folds }}e0 * sum(
                    (without.{{ metric.column }} - whole.{{ metric.column }}) * (without.{{ metric.column }} - whole.{{ metric.column }})
                )
        end as {{ metric.column }}{% if not loop.last %},{% endif %}

        {% endfor %}
    from whole
    inner join without
        on whole.unit = without.unit
        and whole.slice_set = without.slice_set
        and whole.slice_value = without.slice_value
    group by
        whole.unit,
        whole.slice_set,
        whole.slice_value
),

{% endif %}
measured as (
    {% for metric in own_metrics %}
    select
        totals.unit,
        totals.slice_set,
        totals.slice_value,
        totals.n_labelled,
        totals.n_known as n_rows,
        {{ metric.name | literal }} as metric,
        {% if metric.over == 'counts' %}
        'jackknife' as ci_method,
        whole.{{ metric.column }} as value,
        spread.{{ metric.column }} as variance,
        totals.n as denominator,
        totals.n_squares as denominator_squares,
        totals.n_known as n_own
        {% else %}
        'normal' as ci_method,
        {{ safe_divide('totals.' ~ metric.column ~ '_sum', 'totals.' ~ metric.column ~ '_weight') }} as value,
        {{ variance_of_mean(
            'totals.' ~ metric.column ~ '_sum', 'totals.' ~ metric.column ~ '_squares',
            'totals.' ~ metric.column ~ '_weight', 'totals.' ~ metric.column ~ '_weight_squares'
        ) }} as variance,
        totals.{{ metric.column }}_weight as denominator,
        totals.{{ metric.column }}_weight_squares as denominator_squares,
        totals.{{ metric.column }}_n as n_own
        {% endif %}
    from totals
    {% if metric.over == 'counts' %}
    inner join whole
        on totals.unit = whole.unit
        and totals.slice_set = whole.slice_set
        and totals.slice_value = whole.slice_value
    left join spread
        on totals.unit = spread.unit
        and totals.slice_set = spread.slice_set
        and totals.slice_value = spread.slice_value
    {% endif %}
    {% if not loop.last %}
    union all
    {% endif %}
    {% endfor %}
)

select
    measured.unit,
    measured.slice_set,
    measured.slice_value,
    measured.n_labelled,
    measured.n_rows,
    measured.metric,
    measured.ci_method,
    measured.value,
    measured.variance,
    measured.denominator,
    {{ safe_divide('measured.denominator * measured.denominator', 'measured.denominator_squares') }} as n_effective,
    measured.n_own,
    case
        when measured.n_labelled = 0 then 'no labels known at as_of'
        when measured.n_own = 0 then 'no rows'
        else 'its expression is null here'
    end as null_reason
from measured
