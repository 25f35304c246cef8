-- grain: one row per unit, slice and metric; binary task
-- unit:  rates in [0, 1]; denominator is the metric's own, a sum of weights, and n_own the rows in it
-- null:  value where the denominator is 0; null_reason says so in words
{# A rate is the share of some outcomes among others: its name, what is counted, what it is a share of. #}
{% set rates = {
    'selection_rate': ('selected', 'everybody'),
    'prevalence': ('positive', 'everybody'),
    'accuracy': ('correct', 'everybody'),
    'precision': ('tp', 'selected'),
    'recall': ('tp', 'positive'),
    'specificity': ('tn', 'negative'),
    'false_positive_rate': ('fp', 'negative'),
    'false_negative_rate': ('fn', 'positive'),
    'npv': ('tn', 'rejected'),
    'false_discovery_rate': ('fp', 'selected'),
    'false_omission_rate': ('fn', 'rejected'),
} %}
{% set counts = {
    'n_requests': 'n_requests',
    'n_labelled': 'n_labelled',
    'n_positive': 'n_positive',
    'true_positives': 'tp',
    'false_positives': 'fp',
    'true_negatives': 'tn',
    'false_negatives': 'fn',
} %}
{% set others = ['label_coverage', 'balanced_accuracy', 'f1_score', 'matthews_correlation_coefficient', 'roc_auc',
    'average_precision', 'log_loss', 'brier_score', 'expected_calibration_error', 'calibration_ratio', 'mean_prediction',
    'mean_label'] %}
{% set outcomes = {'tp': (1, 1), 'fp': (0, 1), 'tn': (0, 0), 'fn': (1, 0)} %}
{# Each group of outcomes that a rate is over. #}
{% set groups = {
    'everybody': ['tp', 'fp', 'tn', 'fn'],
    'selected': ['tp', 'fp'],
    'rejected': ['tn', 'fn'],
    'positive': ['tp', 'fn'],
    'negative': ['tn', 'fp'],
} %}
{% set sums = ['score', 'score_squares', 'loss', 'loss_squares', 'brier', 'brier_squares'] %}
{{ create_scratch('wml_measured') }}
with cells as (
    select
        bins.unit,
        bins.slice_set,
        bins.slice_value,
        bins.bin,
        sum(bins.n_rows) as n_requests,
        sum(case when bins.label is not null then bins.n_rows else 0 end) as n_labelled,
        sum(bins.n_scored) as n_scored,
        {% for outcome, (label, prediction) in outcomes.items() %}
        {% for column, name in {'n_rows': 'n_' ~ outcome, 'weight': outcome, 'weight_squares': outcome ~ '_squares'}.items() %}
        sum(case when bins.label = {{ label }} and bins.prediction = {{ prediction }} then bins.{{ column }} else 0 end) as {{ name }},
        {% endfor %}
        {% endfor %}
        abs(sum(bins.score) - sum(case when bins.bin is not null then bins.weight * bins.label end)) as calibration_gap,
        {% for name in sums %}
        sum(bins.{{ name }}) as {{ name }}{% if not loop.last %},{% endif %}

        {% endfor %}
    from wml_bins as bins
    group by
        bins.unit,
        bins.slice_set,
        bins.slice_value,
        bins.bin
),

totals as (
    select
        cells.unit,
        cells.slice_set,
        cells.slice_value,
        sum(cells.n_requests) as n_requests,
        sum(cells.n_labelled) as n_labelled,
        sum(cells.n_scored) as n_scored,
        {% for outcome in outcomes %}
        sum(cells.n_{{ outcome }}) as n_{{ outcome }},
        sum(cells.{{ outcome }}) as {{ outcome }},
        {% endfor %}
        {% for group, members in groups.items() %}
        sum(cells.n_{{ members | join(' + cells.n_') }}) as n_{{ group }},
        sum(cells.{{ members | join(' + cells.') }}) as {{ group }},
        sum(cells.{{ members | join('_squares + cells.') }}_squares) as {{ group }}_squares,
        {% endfor %}
        sum(cells.tp + cells.tn) as correct,
        {% for name in sums %}
        sum(cells.{{ name }}) as {{ name }},
        {% endfor %}
        sum(cells.calibration_gap) as calibration_gap
    from cells
    group by
        cells.unit,
        cells.slice_set,
        cells.slice_value
),

-- Nearly every metric is a numerator over its own denominator; those that are not have their value in `ready`.
parts as (
    select
        totals.unit,
        totals.slice_set,
        totals.slice_value,
        totals.n_labelled,
        totals.n_everybody as n_rows,
        totals.n_scored,
        least(totals.n_positive, totals.n_negative) as n_rarer,
        metric_names.metric,
        case metric_names.metric
            {% for name, (counted, among) in rates.items() %}
            when {{ name | literal }} then totals.{{ counted }}
            {% endfor %}
            when 'label_coverage' then totals.n_labelled
            when 'f1_score' then 2e0 * totals.tp
            when 'matthews_correlation_coefficient' then totals.tp * totals.tn - totals.fp * totals.fn
            when 'log_loss' then totals.loss
            when 'brier_score' then totals.brier
            when 'expected_calibration_error' then totals.calibration_gap
            when 'calibration_ratio' then totals.score
            when 'mean_prediction' then totals.score
            when 'mean_label' then totals.positive
        end as numerator,
        case metric_names.metric
            when 'log_loss' then totals.loss_squares
            when 'brier_score' then totals.brier_squares
            when 'mean_prediction' then totals.score_squares
            when 'mean_label' then totals.positive
        end as squares,
        case metric_names.metric
            {% for name, column in counts.items() %}
            when {{ name | literal }} then totals.{{ column }}
            {% endfor %}
            when 'balanced_accuracy' then
                ({{ safe_divide('totals.tp', 'totals.positive') }} + {{ safe_divide('totals.tn', 'totals.negative') }}) / 2e0
            when 'roc_auc' then ranking.roc_auc
            when 'average_precision' then ranking.average_precision
        end as ready,
        ranking.roc_auc_variance,
        case metric_names.metric
            {% for name, (counted, among) in rates.items() %}
            when {{ name | literal }} then totals.{{ among }}
            {% endfor %}
            {% for name in counts %}
            when {{ name | literal }} then null
            {% endfor %}
            when 'label_coverage' then totals.n_requests
            when 'f1_score' then 2e0 * totals.tp + totals.fp + totals.fn
            when 'average_precision' then totals.positive
            when 'calibration_ratio' then totals.positive
            else totals.everybody
        end as denominator,
        case metric_names.metric
            {% for name, (counted, among) in rates.items() %}
            when {{ name | literal }} then totals.{{ among }}_squares
            {% endfor %}
            when 'label_coverage' then totals.n_requests
            else totals.everybody_squares
        end as denominator_squares,
        -- The Matthews coefficient is no share: what it is divided by is not what it counts.
        case
            when metric_names.metric = 'matthews_correlation_coefficient'
                then sqrt(totals.selected) * sqrt(totals.positive) * sqrt(totals.negative) * sqrt(totals.rejected)
        end as divisor,
        -- The rows that the metric hangs on: the rarer class, where it needs both.
        case metric_names.metric
            {% for name, (counted, among) in rates.items() %}
            when {{ name | literal }} then totals.n_{{ among }}
            {% endfor %}
            when 'label_coverage' then totals.n_requests
            when 'f1_score' then totals.n_tp + totals.n_fp + totals.n_fn
            when 'average_precision' then totals.n_positive
            when 'calibration_ratio' then totals.n_positive
            when 'balanced_accuracy' then least(totals.n_positive, totals.n_negative)
            when 'roc_auc' then least(totals.n_positive, totals.n_negative)
            else totals.n_everybody
        end as n_own
    from totals
    left join wml_ranking as ranking
        on totals.unit = ranking.unit
        and totals.slice_set = ranking.slice_set
        and totals.slice_value = ranking.slice_value
    cross join {{ names_table('metric', (counts | list) + (rates | list) + others) }} as metric_names
)

select
    parts.unit,
    parts.slice_set,
    parts.slice_value,
    parts.n_labelled,
    parts.n_rows,
    parts.metric,
    case
        when parts.metric in ({% for name in rates %}{{ name | literal }}, {% endfor %}'label_coverage') then {{ wilson | literal }}
        when parts.metric in ('log_loss', 'brier_score', 'mean_prediction', 'mean_label') then 'normal'
        when parts.metric = 'roc_auc' then 'delong'
    end as ci_method,
    coalesce(parts.ready, {{ safe_divide('parts.numerator', 'coalesce(parts.divisor, parts.denominator)') }}) as value,
    case
        when parts.metric = 'roc_auc' then parts.roc_auc_variance
        else {{ variance_of_mean('parts.numerator', 'parts.squares', 'parts.denominator', 'parts.denominator_squares') }}
    end as variance,
    parts.denominator,
    parts.denominator_squares,
    parts.n_own,
    case
        when parts.n_labelled = 0 then 'no labels known at as_of'
        when parts.n_rows = 0 then 'no predictions'
        when parts.n_scored = 0
            and parts.metric in (
                'roc_auc', 'average_precision', 'log_loss', 'brier_score', 'expected_calibration_error', 'calibration_ratio',
                'mean_prediction'
            ) then 'no scores'
        when parts.n_rarer = 0
            and parts.metric in ('roc_auc', 'average_precision', 'balanced_accuracy', 'matthews_correlation_coefficient')
            then 'labels of one class only'
        else 'denominator is 0'
    end as null_reason
from parts
