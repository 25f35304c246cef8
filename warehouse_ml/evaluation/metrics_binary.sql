-- grain: one row per unit, slice and metric; binary task
-- unit:  rates in [0, 1]; n counts labelled and scored rows; denominator is the metric's own, a sum of weights
-- null:  value where the denominator is 0 or the slice is too small, and reason says which
{# A rate is the share of some outcomes among others: its name, the outcomes counted, the outcomes it is a share of. #}
{% set everybody = ['tp', 'fp', 'tn', 'fn'] %}
{% set rates = {
    'selection_rate': (['tp', 'fp'], everybody),
    'prevalence': (['tp', 'fn'], everybody),
    'accuracy': (['tp', 'tn'], everybody),
    'precision': (['tp'], ['tp', 'fp']),
    'recall': (['tp'], ['tp', 'fn']),
    'specificity': (['tn'], ['tn', 'fp']),
    'false_positive_rate': (['fp'], ['tn', 'fp']),
    'false_negative_rate': (['fn'], ['tp', 'fn']),
    'npv': (['tn'], ['tn', 'fn']),
    'false_discovery_rate': (['fp'], ['tp', 'fp']),
    'false_omission_rate': (['fn'], ['tn', 'fn']),
} %}
{% set counts = ['n_requests', 'n_labelled', 'n_positive', 'true_positives', 'false_positives', 'true_negatives', 'false_negatives'] %}
{% set means = ['log_loss', 'brier_score', 'mean_prediction', 'mean_label'] %}
{% set others = ['label_coverage', 'balanced_accuracy', 'f1_score', 'matthews_correlation_coefficient', 'roc_auc',
    'average_precision', 'expected_calibration_error', 'calibration_ratio'] %}
{% set from_scores = ['roc_auc', 'average_precision', 'log_loss', 'brier_score', 'expected_calibration_error',
    'calibration_ratio', 'mean_prediction'] %}
{% set from_both = ['roc_auc', 'average_precision', 'balanced_accuracy', 'matthews_correlation_coefficient'] %}
{% set outcome_sums %}
{%- for outcome in everybody %}
        sum(bins.n_{{ outcome }}) as n_{{ outcome }},
        sum(bins.{{ outcome }}) as {{ outcome }},
        sum(bins.{{ outcome }}_squares) as {{ outcome }}_squares,
{%- endfor %}
{% endset %}
{{ create_scratch('wml_measured') }}
with totals as (
    select
        bins.unit,
        bins.slice_set,
        bins.slice_value,
        sum(bins.n_requests) as n_requests,
        sum(bins.n_labelled) as n_labelled,
        sum(bins.n_scored) as n_scored,
        {{- outcome_sums }}
        sum(bins.tp + bins.fp + bins.tn + bins.fn) as weight,
        sum(bins.tp_squares + bins.fp_squares + bins.tn_squares + bins.fn_squares) as weight_squares,
        sum(bins.score) as score,
        sum(bins.score_squares) as score_squares,
        sum(bins.loss) as loss,
        sum(bins.loss_squares) as loss_squares,
        sum(bins.brier) as brier,
        sum(bins.brier_squares) as brier_squares,
        sum(case when bins.bin is not null then abs(bins.score - bins.tp - bins.fn) end) as calibration_gap
    from wml_bins as bins
    group by
        bins.unit,
        bins.slice_set,
        bins.slice_value
),

sums as (
    select
        totals.unit,
        totals.slice_set,
        totals.slice_value,
        totals.n_requests,
        totals.n_labelled,
        totals.n_scored,
        {% for outcome in everybody %}
        totals.n_{{ outcome }},
        totals.{{ outcome }},
        totals.{{ outcome }}_squares,
        {% endfor %}
        totals.n_tp + totals.n_fp + totals.n_tn + totals.n_fn as n_rows,
        totals.n_tp + totals.n_fn as n_positive,
        totals.n_tn + totals.n_fp as n_negative,
        totals.weight,
        totals.weight_squares,
        totals.score,
        totals.score_squares,
        totals.loss,
        totals.loss_squares,
        totals.brier,
        totals.brier_squares,
        totals.calibration_gap,
        ranking.roc_auc,
        ranking.roc_auc_variance,
        ranking.average_precision
    from totals
    left join wml_ranking as ranking
        on totals.unit = ranking.unit
        and totals.slice_set = ranking.slice_set
        and totals.slice_value = ranking.slice_value
)

select
    sums.unit,
    sums.slice_set,
    sums.slice_value,
    sums.n_labelled,
    sums.n_rows,
    metric_names.metric,
    case
        when metric_names.metric in ({% for name in rates %}{{ name | literal }}, {% endfor %}'label_coverage') then {{ wilson | literal }}
        when metric_names.metric in ({% for name in means %}{{ name | literal }}{% if not loop.last %}, {% endif %}{% endfor %}) then 'normal'
        when metric_names.metric = 'roc_auc' then 'delong'
    end as ci_method,
    case metric_names.metric
        {% for name, (counted, among) in rates.items() %}
        when {{ name | literal }} then {{ safe_divide('sums.' ~ (counted | join(' + sums.')), 'sums.' ~ (among | join(' + sums.'))) }}
        {% endfor %}
        when 'n_requests' then sums.n_requests
        when 'n_labelled' then sums.n_labelled
        when 'n_positive' then sums.n_positive
        when 'true_positives' then sums.tp
        when 'false_positives' then sums.fp
        when 'true_negatives' then sums.tn
        when 'false_negatives' then sums.fn
        when 'label_coverage' then {{ safe_divide('sums.n_labelled', 'sums.n_requests') }}
        when 'balanced_accuracy' then ({{ safe_divide('sums.tp', 'sums.tp + sums.fn') }} + {{ safe_divide('sums.tn', 'sums.tn + sums.fp') }}) / 2e0
        when 'f1_score' then {{ safe_divide('2e0 * sums.tp', '2e0 * sums.tp + sums.fp + sums.fn') }}
        when 'matthews_correlation_coefficient' then
            {{ safe_divide(
                'sums.tp * sums.tn - sums.fp * sums.fn',
                'sqrt(sums.tp + sums.fp) * sqrt(sums.tp + sums.fn) * sqrt(sums.tn + sums.fp) * sqrt(sums.tn + sums.fn)'
            ) }}
        when 'roc_auc' then sums.roc_auc
        when 'average_precision' then sums.average_precision
        when 'log_loss' then {{ safe_divide('sums.loss', 'sums.weight') }}
        when 'brier_score' then {{ safe_divide('sums.brier', 'sums.weight') }}
        when 'expected_calibration_error' then {{ safe_divide('sums.calibration_gap', 'sums.weight') }}
        when 'calibration_ratio' then {{ safe_divide('sums.score', 'sums.tp + sums.fn') }}
        when 'mean_prediction' then {{ safe_divide('sums.score', 'sums.weight') }}
        when 'mean_label' then {{ safe_divide('sums.tp + sums.fn', 'sums.weight') }}
    end as value,
    case metric_names.metric
        when 'roc_auc' then sums.roc_auc_variance
        when 'log_loss' then {{ variance_of_mean('sums.loss', 'sums.loss_squares', 'sums.weight', 'sums.weight_squares') }}
        when 'brier_score' then {{ variance_of_mean('sums.brier', 'sums.brier_squares', 'sums.weight', 'sums.weight_squares') }}
        when 'mean_prediction' then {{ variance_of_mean('sums.score', 'sums.score_squares', 'sums.weight', 'sums.weight_squares') }}
        when 'mean_label' then {{ variance_of_mean('(sums.tp + sums.fn)', '(sums.tp + sums.fn)', 'sums.weight', 'sums.weight_squares') }}
    end as variance,
    case metric_names.metric
        {% for name, (counted, among) in rates.items() %}
        when {{ name | literal }} then sums.{{ among | join(' + sums.') }}
        {% endfor %}
        when 'label_coverage' then sums.n_requests
        when 'f1_score' then 2e0 * sums.tp + sums.fp + sums.fn
        when 'average_precision' then sums.tp + sums.fn
        when 'calibration_ratio' then sums.tp + sums.fn
        {% for name in counts %}
        when {{ name | literal }} then null
        {% endfor %}
        else sums.weight
    end as denominator,
    case metric_names.metric
        {% for name, (counted, among) in rates.items() %}
        when {{ name | literal }} then sums.{{ among | join('_squares + sums.') }}_squares
        {% endfor %}
        when 'label_coverage' then sums.n_requests
        else sums.weight_squares
    end as denominator_squares,
    -- The rows that the metric hangs on: the rarer class, where it needs both.
    case metric_names.metric
        {% for name, (counted, among) in rates.items() %}
        when {{ name | literal }} then sums.n_{{ among | join(' + sums.n_') }}
        {% endfor %}
        when 'label_coverage' then sums.n_requests
        when 'f1_score' then sums.n_tp + sums.n_fp + sums.n_fn
        when 'average_precision' then sums.n_positive
        when 'calibration_ratio' then sums.n_positive
        when 'balanced_accuracy' then least(sums.n_positive, sums.n_negative)
        when 'roc_auc' then least(sums.n_positive, sums.n_negative)
        else sums.n_rows
    end as n_own,
    case
        when sums.n_labelled = 0 then 'no labels known at as_of'
        when sums.n_rows = 0 then 'no predictions'
        when sums.n_scored = 0
            and metric_names.metric in ({% for name in from_scores %}{{ name | literal }}{% if not loop.last %}, {% endif %}{% endfor %}) then 'no scores'
        when least(sums.n_positive, sums.n_negative) = 0
            and metric_names.metric in ({% for name in from_both %}{{ name | literal }}{% if not loop.last %}, {% endif %}{% endfor %}) then 'labels of one class only'
        else 'denominator is 0'
    end as null_reason
from sums
cross join {{ names_table('metric', counts + (rates | list) + means + others) }} as metric_names
