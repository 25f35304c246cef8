-- grain: one row per unit, slice and metric; binary task
-- unit:  rates in [0, 1]; denominator is the metric's own, a sum of weights, and n_own the rows in it
-- null:  value where the denominator is 0; null_reason says so in words; ci_lower and ci_upper where metrics.sql
--        makes them of value, variance and n_effective
-- A variance is linearised: the sum, over rows, of squared weight times squared influence on the metric, which the cells
-- of the outcomes add up to.
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
    'mean_label': ('positive', 'everybody'),
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
    'average_precision', 'kolmogorov_smirnov', 'log_loss', 'brier_score', 'expected_calibration_error', 'calibration_ratio', 'mean_prediction'] %}
{% set outcomes = {'tp': (1, 1), 'fp': (0, 1), 'tn': (0, 0), 'fn': (1, 0)} %}
{# Each group of outcomes that a rate is over. #}
{% set groups = {
    'everybody': ['tp', 'fp', 'tn', 'fn'],
    'selected': ['tp', 'fp'],
    'rejected': ['tn', 'fn'],
    'positive': ['tp', 'fn'],
    'negative': ['tn', 'fp'],
    'correct': ['tp', 'tn'],
} %}
{% set plain_sums = ['score', 'score_squares', 'loss', 'loss_squares', 'brier', 'brier_squares'] %}
{# Without weights a sum over squared weights is the plain one. #}
{% set sq = 'sq_' if columns.has_weight else '' %}
{% set sums = plain_sums + (['sq_score', 'sq_score_squares', 'sq_loss', 'sq_loss_squares', 'sq_brier', 'sq_brier_squares'] if columns.has_weight else []) %}
{% set means = {'log_loss': 'loss', 'brier_score': 'brier', 'mean_prediction': 'score'} %}
{# Each side of balanced accuracy: what is counted, what it is a share of, the rest. #}
{% set sides = {'recall': ('tp', 'positive', 'fn'), 'specificity': ('tn', 'negative', 'fp')} %}
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
        sum(bins.score) - sum(case when bins.bin is not null then bins.weight * bins.label end) as gap,
        sum(bins.{{ sq }}score) - sum(case when bins.bin is not null then bins.weight_squares * bins.label end) as sq_gap,
        sum(case when bins.label = 1 then bins.{{ sq }}score end) as sq_positive_score,
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
        sum(cells.{{ outcome }}_squares) as {{ outcome }}_squares,
        {% endfor %}
        {% for group, members in groups.items() %}
        sum(cells.n_{{ members | join(' + cells.n_') }}) as n_{{ group }},
        sum(cells.{{ members | join(' + cells.') }}) as {{ group }},
        sum(cells.{{ members | join('_squares + cells.') }}_squares) as {{ group }}_squares,
        {% endfor %}
        {% for name in sums %}
        sum(cells.{{ name }}) as {{ name }},
        {% endfor %}
        sum(abs(cells.gap)) as calibration_gap,
        sum(sign(cells.gap) * cells.sq_gap) as sq_calibration_gap,
        -- What is left of the gaps when each loses twice the square of its own noise: 0 where a bin may be calibrated.
        sum(
            case
                when cells.gap * cells.gap > 2e0 * cells.{{ sq }}brier then sqrt(cells.gap * cells.gap - 2e0 * cells.{{ sq }}brier)
                when cells.gap is not null then 0e0
            end
        ) as sure_gap,
        sum(cells.sq_positive_score) as sq_positive_score
    from cells
    group by
        cells.unit,
        cells.slice_set,
        cells.slice_value
),

-- Half a row, in weight; null where there is none.
weighed as (
    select
        {% for name in ['unit', 'slice_set', 'slice_value', 'score', 'fp', 'tp', 'fn', 'tn', 'positive', 'negative', 'selected', 'rejected', 'everybody', 'calibration_gap'] %}
        totals.{{ name }},
        {% endfor %}
        {% for name in ['tp', 'fp', 'tn', 'fn', 'positive', 'negative'] %}
        totals.{{ name }}_squares,
        {% endfor %}
        {{ safe_divide('totals.everybody_squares', '2e0 * totals.everybody') }} as half_row
    from totals
),

-- What the intervals of three metrics are made of. The Matthews coefficient's is that of the cells with half a row added
-- to each, as no cell is surely empty; effective rows are those of a simple sample with the same variance.
shaped as (
    select
        totals.unit,
        totals.slice_set,
        totals.slice_value,
        {{ safe_divide('2e0 * totals.tp', '2e0 * totals.tp + totals.fp + totals.fn') }} as f1_score,
        {% for side, (counted, among, rest) in sides.items() %}
        {{ safe_divide('totals.' ~ counted, 'totals.' ~ among) }} as {{ side }},
        {% if columns.has_weight %}
        {{ effective_rows('totals.' ~ counted, 'totals.' ~ among, 'totals.' ~ counted ~ '_squares', 'totals.' ~ among ~ '_squares') }} as {{ side }}_rows,
        {% else %}
        totals.{{ among }} as {{ side }}_rows,
        {% endif %}
        {% endfor %}
        {{ safe_divide('totals.calibration_gap', 'totals.everybody') }} as calibration_error,
        {{ safe_divide('totals.score', 'totals.positive') }} as calibration_ratio,
        {% for outcome in outcomes %}
        totals.{{ outcome }} + totals.half_row as {{ outcome }},
        totals.{{ outcome }}_squares + 2e0 * totals.half_row * totals.half_row as {{ outcome }}_squares,
        {% endfor %}
        {% for group in ['selected', 'rejected', 'positive', 'negative'] %}
        totals.{{ group }} + 2e0 * totals.half_row as {{ group }}{% if not loop.last %},{% endif %}

        {% endfor %}
    from weighed as totals
),

divided as (
    select
        shaped.unit,
        shaped.slice_set,
        shaped.slice_value,
        shaped.f1_score,
        {% for side in sides %}
        shaped.{{ side }},
        shaped.{{ side }}_rows,
        {% endfor %}
        shaped.calibration_error,
        shaped.calibration_ratio,
        {% for outcome in outcomes %}
        shaped.{{ outcome }},
        shaped.{{ outcome }}_squares,
        {% endfor %}
        {% for group in ['selected', 'rejected', 'positive', 'negative'] %}
        shaped.{{ group }},
        {% endfor %}
        sqrt(shaped.selected) * sqrt(shaped.positive) * sqrt(shaped.negative) * sqrt(shaped.rejected) as divisor
    from shaped
),

correlated as (
    select
        divided.unit,
        divided.slice_set,
        divided.slice_value,
        divided.f1_score,
        {% for side in sides %}
        divided.{{ side }},
        divided.{{ side }}_rows,
        {% endfor %}
        divided.calibration_error,
        divided.calibration_ratio,
        {% for outcome in outcomes %}
        divided.{{ outcome }},
        divided.{{ outcome }}_squares,
        {% endfor %}
        {% for group in ['selected', 'rejected', 'positive', 'negative'] %}
        divided.{{ group }},
        {% endfor %}
        divided.divisor,
        (divided.tp * divided.tn - divided.fp * divided.fn) / divided.divisor as coefficient
    from divided
),

correlation as (
    select
        correlated.unit,
        correlated.slice_set,
        correlated.slice_value,
        correlated.f1_score,
        {% for side in sides %}
        correlated.{{ side }},
        correlated.{{ side }}_rows,
        {% endfor %}
        correlated.calibration_error,
        correlated.calibration_ratio,
        correlated.coefficient,
        {% for outcome, (sign, opposite, first, second) in {
            'tp': ('', 'tn', 'selected', 'positive'), 'fp': ('-', 'fn', 'selected', 'negative'),
            'tn': ('', 'tp', 'rejected', 'negative'), 'fn': ('-', 'fp', 'rejected', 'positive'),
        }.items() %}
        correlated.{{ outcome }}_squares * power(
            {{ sign }}correlated.{{ opposite }} / correlated.divisor
            - correlated.coefficient / 2e0 * (1e0 / correlated.{{ first }} + 1e0 / correlated.{{ second }}),
            2
        ){% if not loop.last %} + {% else %} as coefficient_variance{% endif %}

        {% endfor %}
    from correlated
),

bounds as (
    select
        correlation.unit,
        correlation.slice_set,
        correlation.slice_value,
        correlation.recall,
        correlation.specificity,
        correlation.f1_score,
        correlation.calibration_ratio,
        correlation.calibration_error,
        {{ safe_divide('correlation.recall * (1e0 - correlation.recall)', 'correlation.recall_rows') }}
            + {{ safe_divide('correlation.specificity * (1e0 - correlation.specificity)', 'correlation.specificity_rows') }} as balanced_variance,
        {% for bound, wilson_bound in {'lower': wilson_lower, 'upper': wilson_upper}.items() %}
        case
            when correlation.recall_rows > 0 and correlation.specificity_rows > 0 then
                sqrt(
                    power({{ wilson_bound('correlation.recall', 'correlation.recall_rows') }} - correlation.recall, 2)
                    + power({{ wilson_bound('correlation.specificity', 'correlation.specificity_rows') }} - correlation.specificity, 2)
                ) / 2e0
        end as balanced_{{ bound }},
        {% endfor %}
        correlation.coefficient_variance,
        ln(nullif(1e0 + correlation.coefficient, 0e0) / nullif(1e0 - correlation.coefficient, 0e0)) as coefficient_scaled,
        2e0 * 1.959963984540054e0 * sqrt(correlation.coefficient_variance)
            / nullif(1e0 - correlation.coefficient * correlation.coefficient, 0e0) as coefficient_half_width
    from correlation
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
        {% for column, suffix in {'sq_total': '', 'sq_squares': '_squares'}.items() %}
        case metric_names.metric
            {% for name, sum in means.items() %}
            when {{ name | literal }} then totals.{{ sq ~ sum ~ suffix }}
            {% endfor %}
        end as {{ column }},
        {% endfor %}
        case metric_names.metric
            when 'f1_score' then {{ safe_divide(
                '4e0 * (1e0 - bounds.f1_score) * (1e0 - bounds.f1_score) * totals.tp_squares + bounds.f1_score * bounds.f1_score * (totals.fp_squares + totals.fn_squares)',
                '(2e0 * totals.tp + totals.fp + totals.fn) * (2e0 * totals.tp + totals.fp + totals.fn)'
            ) }}
            when 'balanced_accuracy' then bounds.balanced_variance / 4e0
            when 'matthews_correlation_coefficient' then bounds.coefficient_variance
            when 'roc_auc' then ranking.roc_auc_variance
            -- The larger of the linearised one, which few positives make too small, and that of a share of positives.
            when 'average_precision' then case
                when ranking.average_precision_variance * ranking.n_positive > ranking.average_precision * (1e0 - ranking.average_precision)
                    then ranking.average_precision_variance
                when ranking.average_precision_variance is not null
                    then ranking.average_precision * (1e0 - ranking.average_precision) / ranking.n_positive
            end
            when 'expected_calibration_error' then {{ safe_divide(
                'totals.' ~ sq ~ 'brier - 2e0 * bounds.calibration_error * totals.sq_calibration_gap + bounds.calibration_error * bounds.calibration_error * totals.everybody_squares',
                'totals.everybody * totals.everybody'
            ) }}
            when 'calibration_ratio' then {{ safe_divide(
                'totals.' ~ sq ~ 'score_squares - 2e0 * bounds.calibration_ratio * totals.sq_positive_score + bounds.calibration_ratio * bounds.calibration_ratio * totals.positive_squares',
                'totals.positive * totals.positive'
            ) }}
        end as variance,
        {% for bound in ['lower', 'upper'] %}
        {% set direction = '-' if bound == 'lower' else '+' %}
        case metric_names.metric
            when 'balanced_accuracy' then
                (bounds.recall + bounds.specificity) / 2e0 {{ direction }} bounds.balanced_{{ bound }}
            when 'matthews_correlation_coefficient' then
                1e0 - 2e0 / (exp(least(700e0, bounds.coefficient_scaled {{ direction }} bounds.coefficient_half_width)) + 1e0)
            when 'expected_calibration_error' then {{ safe_divide('totals.sure_gap' if bound == 'lower' else 'totals.calibration_gap', 'totals.everybody') }}
        end as ci_{{ bound }},
        {% endfor %}
        case metric_names.metric
            {% for name, column in counts.items() %}
            when {{ name | literal }} then totals.{{ column }}
            {% endfor %}
            when 'balanced_accuracy' then
                ({{ safe_divide('totals.tp', 'totals.positive') }} + {{ safe_divide('totals.tn', 'totals.negative') }}) / 2e0
            when 'roc_auc' then ranking.roc_auc
            when 'average_precision' then ranking.average_precision
            when 'kolmogorov_smirnov' then ranking.kolmogorov_smirnov
        end as ready,
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
        {% if columns.has_weight %}
        case metric_names.metric
            {% for name, (counted, among) in rates.items() %}
            when {{ name | literal }} then totals.{{ counted }}_squares
            {% endfor %}
            when 'f1_score' then totals.tp_squares
        end as numerator_squares,
        {% endif %}
        case metric_names.metric
            {% for name, (counted, among) in rates.items() %}
            when {{ name | literal }} then totals.{{ among }}_squares
            {% endfor %}
            when 'label_coverage' then totals.n_requests
            when 'f1_score' then totals.tp_squares + totals.fp_squares + totals.fn_squares
            else totals.everybody_squares
        end as denominator_squares,
        -- What is shared out, where an interval counts it otherwise than the value does.
        case
            when metric_names.metric = 'f1_score' then totals.tp + totals.fp + totals.fn
            when metric_names.metric in ('average_precision', 'calibration_ratio') then totals.everybody
        end as base,
        case when metric_names.metric = 'f1_score' then totals.tp end as base_numerator,
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
            when 'kolmogorov_smirnov' then least(totals.n_positive, totals.n_negative)
            else totals.n_everybody
        end as n_own
    from totals
    left join wml_ranking as ranking
        on totals.unit = ranking.unit
        and totals.slice_set = ranking.slice_set
        and totals.slice_value = ranking.slice_value
    left join bounds
        on totals.unit = bounds.unit
        and totals.slice_set = bounds.slice_set
        and totals.slice_value = bounds.slice_value
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
        when parts.metric = 'f1_score' then 'wilson_jaccard'
        when parts.metric in ('brier_score', 'mean_prediction', 'average_precision') then 'logit'
        when parts.metric in ('log_loss', 'calibration_ratio') then 'log'
        when parts.metric = 'roc_auc' then 'delong'
        when parts.metric = 'balanced_accuracy' then 'newcombe'
        when parts.metric = 'matthews_correlation_coefficient' then 'fisher'
        when parts.metric = 'expected_calibration_error' then 'delta'
    end as ci_method,
    coalesce(parts.ready, {{ safe_divide('parts.numerator', 'coalesce(parts.divisor, parts.denominator)') }}) as value,
    case
        when parts.sq_squares is not null
            then {{ variance_of_weighted_mean('parts.numerator', 'parts.denominator', 'parts.denominator_squares', 'parts.sq_total', 'parts.sq_squares') }}
        else parts.variance
    end as variance,
    parts.ci_lower,
    parts.ci_upper,
    parts.denominator,
    {% set base = 'coalesce(parts.base, parts.denominator)' %}
    case
        when parts.denominator is null then null
        {% if columns.has_weight %}
        when parts.numerator_squares is not null
            then {{ effective_rows('coalesce(parts.base_numerator, parts.numerator)', base, 'parts.numerator_squares', 'parts.denominator_squares') }}
        {% endif %}
        else {{ safe_divide(base ~ ' * ' ~ base, 'parts.denominator_squares') }}
    end as n_effective,
    parts.n_own,
    case
        when parts.n_labelled = 0 then 'no labels known at as_of'
        when parts.n_rows = 0 then 'no predictions'
        when parts.n_scored = 0
            and parts.metric in (
                'roc_auc', 'average_precision', 'kolmogorov_smirnov', 'log_loss', 'brier_score', 'expected_calibration_error',
                'calibration_ratio', 'mean_prediction'
            ) then 'no scores'
        when parts.n_rarer = 0
            and parts.metric in (
                'roc_auc', 'average_precision', 'kolmogorov_smirnov', 'balanced_accuracy', 'matthews_correlation_coefficient'
            )
            then 'labels of one class only'
        else 'denominator is 0'
    end as null_reason
from parts
