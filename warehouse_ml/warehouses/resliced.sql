-- grain: one row per model, version, slice value and metric (and window, with by_window) of an evaluation's kept cells
-- unit:  intervals at 95 %; n counts rows with an answer and a prediction; n_windows the windows that are added up
-- null:  value where the denominator is 0 or it is not shown; interval of what is neither a share nor F1
{% set rates = {
    'selection_rate': ('selected', 'everybody'),
    'prevalence': ('positive', 'everybody'),
    'mean_label': ('positive', 'everybody'),
    'accuracy': ('correct', 'everybody'),
    'precision': ('tp', 'selected'),
    'recall': ('tp', 'positive'),
    'specificity': ('tn', 'negative'),
    'false_positive_rate': ('fp', 'negative'),
    'false_negative_rate': ('fn', 'positive'),
    'npv': ('tn', 'rejected'),
    'false_discovery_rate': ('fp', 'selected'),
    'false_omission_rate': ('fn', 'rejected'),
    'f1_score': ('tp', 'touched'),
} %}
{% set outcomes = {'tp': ('1', '1'), 'fp': ('0', '1'), 'tn': ('0', '0'), 'fn': ('1', '0')} %}
{% set groups = {
    'selected': ['tp', 'fp'],
    'rejected': ['tn', 'fn'],
    'positive': ['tp', 'fn'],
    'negative': ['tn', 'fp'],
    'correct': ['tp', 'tn'],
    'touched': ['tp', 'fp', 'fn'],
} %}
{% set counts = {
    'n_positive': 'n_positive',
    'true_positives': 'n_tp',
    'false_positives': 'n_fp',
    'true_negatives': 'n_tn',
    'false_negatives': 'n_fn',
} %}
{% set weighed_counts = {'true_positives': 'tp', 'false_positives': 'fp', 'true_negatives': 'tn', 'false_negatives': 'fn'} %}
{% set others = ['balanced_accuracy', 'matthews_correlation_coefficient', 'log_loss', 'brier_score', 'expected_calibration_error',
    'calibration_ratio', 'mean_prediction'] %}
{% set regression = ['mean_absolute_error', 'mean_squared_error', 'root_mean_squared_error', 'mean_squared_log_error', 'r2_score',
    'explained_variance', 'mean_error', 'mean_prediction', 'mean_label'] %}
{% set families = {
    0: ['n_requests', 'n_labelled', 'label_coverage'],
    1: ['selection_rate', 'mean_prediction', 'log_loss', 'brier_score', 'expected_calibration_error'],
    2: ['n_positive', 'prevalence', 'mean_label', 'calibration_ratio'],
} %}
{% set place = ['task', 'model', 'version', 'window_group', 'slice_value'] %}
{% set class_rates = {'precision': ['predicted'], 'recall': ['labelled'], 'f1': ['labelled', 'predicted']} %}
{% macro placed(relation) %}
{% for name in place %}
        {{ relation }}.{{ name }}{% if not loop.last %},{% endif %}

{% endfor %}
{% endmacro %}
{% macro same_place(left, right) %}
{% for name in place %}
        {% if not loop.first %}and {% endif %}{{ same(left ~ '.' ~ name, right ~ '.' ~ name) }}
{% endfor %}
{% endmacro %}
{% set body %}
with kept as (
    select
        cells.task,
        cells.model,
        cells.version,
        case when by_window then cells.window_start end as window_group,
        {{ json_slice_text('cells.slices', 'by_columns') }} as slice_value,
        cells.evaluation_id,
        cells.window_start,
        cells.window_end,
        cells.label,
        cells.prediction,
        cells.bin,
        cells.n_rows,
        cells.n_labelled,
        cells.n_scored,
        cells.label is not null and cells.prediction is not null as is_known,
        cells.weight,
        cells.weight_squares,
        cells.sum_score,
        cells.sum_label,
        cells.sum_log_loss,
        cells.sum_squared_error,
        cells.sum_absolute_error,
        cells.sum_error,
        cells.sum_squared_log_error,
        cells.n_logarithms,
        cells.label_spread,
        cells.is_weighted,
        cells.min_slice_size
    from {{ 'metric_cells' | wml }} as cells
    where cells.evaluation = of_evaluation
        and (since is null or cells.window_start >= since)
        and (until is null or cells.window_start < until)
        and cells.evaluation_id in (
            select latest_evaluations.evaluation_id
            from {{ 'latest_evaluations' | wml }} as latest_evaluations
        )
),

-- A bin of all windows is one bin; the spread of labels between cells is taken from the mean over all of them, and what
-- rounding leaves of it is none.
binned as (
    select
{{ placed('kept') }},
        kept.bin,
        abs(sum(kept.sum_score) - sum(kept.sum_label)) as gap
    from kept
    where kept.bin is not null
    group by
{{ placed('kept') }},
        kept.bin
),

calibrated as (
    select
{{ placed('binned') }},
        sum(binned.gap) as gap
    from binned
    group by
{{ placed('binned') }}
),

centres as (
    select
{{ placed('kept') }},
        {{ safe_divide('sum(kept.sum_label)', 'sum(kept.weight)') }} as mean_label
    from kept
    where kept.task = 'regression'
    group by
{{ placed('kept') }}
),

totals as (
    select
{{ placed('kept') }},
        count(distinct kept.evaluation_id) as n_windows,
        min(kept.window_start) as window_start,
        max(kept.window_end) as window_end,
        max(kept.min_slice_size) as min_slice_size,
        max(case when kept.is_weighted then 1 else 0 end) = 1 as is_weighted,
        sum(kept.n_rows) as n_requests,
        sum(kept.n_labelled) as n_labelled,
        sum(kept.n_scored) as n_scored,
        sum(case when kept.task = 'regression' then kept.n_scored when kept.is_known then kept.n_rows else 0 end) as n_everybody,
        coalesce(sum(case when kept.task = 'regression' or kept.is_known then kept.weight end), 0e0) as everybody,
        coalesce(sum(case when kept.task = 'regression' or kept.is_known then kept.weight_squares end), 0e0) as everybody_squares,
        {% for outcome, (label, prediction) in outcomes.items() %}
        {% for column, name in {'n_rows': 'n_' ~ outcome, 'weight': outcome, 'weight_squares': outcome ~ '_squares'}.items() %}
        sum(case when kept.task = 'binary' and kept.label = '{{ label }}' and kept.prediction = '{{ prediction }}' then kept.{{ column }} else 0 end) as {{ name }},
        {% endfor %}
        {% endfor %}
        {% for column, name in {'n_rows': 'n_right', 'weight': 'right_weight', 'weight_squares': 'right_squares'}.items() %}
        sum(case when kept.label = kept.prediction then kept.{{ column }} else 0 end) as {{ name }},
        {% endfor %}
        {% for name in ['score', 'log_loss', 'squared_error', 'absolute_error', 'error', 'squared_log_error'] %}
        sum(kept.sum_{{ name }}) as sum_{{ name }},
        {% endfor %}
        sum(kept.sum_label) as sum_label,
        sum(kept.n_logarithms) as n_logarithms,
        sum(
            kept.label_spread
            + kept.weight * power({{ safe_divide('kept.sum_label', 'kept.weight') }} - centres.mean_label, 2)
        ) as label_spread,
        max(calibrated.gap) as gap
    from kept
    left join centres
        on {{ same_place('kept', 'centres') }}
    left join calibrated
        on {{ same_place('kept', 'calibrated') }}
    group by
{{ placed('kept') }}
),

grouped as (
    select
        totals.*,
        {% for group, members in groups.items() %}
        {% for prefix, suffix in [('n_', ''), ('', ''), ('', '_squares')] %}
        {% for member in members %}totals.{{ prefix ~ member ~ suffix }}{% if not loop.last %} + {% endif %}{% endfor %} as {{ prefix ~ group ~ suffix }}{% if not loop.last %},{% endif %}

        {% endfor %}
        {% if not loop.last %},{% endif %}

        {% endfor %}
    from totals
),

-- How few rows each family of metrics hangs on, those before it included; rows that are not there need no hiding.
sized as (
    select
        grouped.*,
        case
            when grouped.label_spread > 1e-28 * power(grouped.sum_label, 2) / nullif(grouped.everybody, 0e0) then grouped.label_spread
        end as sure_spread,
        grouped.slice_value <> 'all' and grouped.n_everybody between 1 and grouped.min_slice_size - 1 as hides_1,
        grouped.slice_value <> 'all' and (
            grouped.n_everybody between 1 and grouped.min_slice_size - 1
            {% for group in ['positive', 'negative'] %}
            or grouped.task = 'binary' and grouped.n_{{ group }} between 1 and grouped.min_slice_size - 1
            {% endfor %}
        ) as hides_2,
        grouped.slice_value <> 'all' and (
            grouped.n_everybody between 1 and grouped.min_slice_size - 1
            {% for group in ['positive', 'negative', 'selected', 'rejected'] %}
            or grouped.task = 'binary' and grouped.n_{{ group }} between 1 and grouped.min_slice_size - 1
            {% endfor %}
        ) as hides_3
    from grouped
),

sides as (
    select
{{ placed('kept') }},
        kept.label as class,
        case when kept.label = kept.prediction then kept.n_rows else 0 end as n_correct,
        case when kept.label = kept.prediction then kept.weight else 0e0 end as correct,
        case when kept.label = kept.prediction then kept.weight_squares else 0e0 end as correct_squares,
        kept.n_rows as n_labelled,
        kept.weight as labelled,
        kept.weight_squares as labelled_squares,
        0 as n_predicted,
        0e0 as predicted,
        0e0 as predicted_squares
    from kept
    where kept.task = 'multiclass'
        and kept.is_known
    union all
    select
{{ placed('kept') }},
        kept.prediction as class,
        0 as n_correct,
        0e0 as correct,
        0e0 as correct_squares,
        0 as n_labelled,
        0e0 as labelled,
        0e0 as labelled_squares,
        kept.n_rows as n_predicted,
        kept.weight as predicted,
        kept.weight_squares as predicted_squares
    from kept
    where kept.task = 'multiclass'
        and kept.is_known
),

classes as (
    select
{{ placed('sides') }},
        sides.class,
        {% for name in ['correct', 'labelled', 'predicted'] %}
        sum(sides.n_{{ name }}) as n_{{ name }},
        sum(sides.{{ name }}) as {{ name }},
        sum(sides.{{ name }}_squares) as {{ name }}_squares{% if not loop.last %},{% endif %}

        {% endfor %}
    from sides
    group by
{{ placed('sides') }},
        sides.class
),

-- As in metrics_multiclass.sql: a precision of a class that is never predicted counts as 0 in a mean.
means as (
    select
{{ placed('classes') }},
        avg({{ safe_divide('classes.correct', 'classes.labelled') }}) as balanced_accuracy,
        {% for rate, (above, below) in {
            'precision': ('classes.correct', 'classes.predicted'),
            'recall': ('classes.correct', 'classes.labelled'),
            'f1': ('2e0 * classes.correct', 'classes.labelled + classes.predicted'),
        }.items() %}
        avg(coalesce({{ safe_divide(above, below) }}, 0e0)) as {{ rate }}_macro,
        {{ safe_divide('sum(classes.labelled * coalesce(' ~ safe_divide(above, below) ~ ', 0e0))', 'sum(classes.labelled)') }} as {{ rate }}_weighted{% if not loop.last %},{% endif %}

        {% endfor %}
    from classes
    group by
{{ placed('classes') }}
),

measured as (
    select
        sized.*,
        metric_names.metric,
        case
            when metric_names.metric = 'f1_score' then 'wilson_jaccard'
            when metric_names.metric in ('label_coverage', {% for name in rates %}{{ name | literal }}{% if not loop.last %}, {% endif %}{% endfor %}) then 'wilson'
        end as scale,
        case metric_names.metric
            {% for name, (counted, among) in rates.items() %}
            when {{ name | literal }} then sized.{{ counted }}
            {% endfor %}
            when 'label_coverage' then sized.n_labelled
            when 'log_loss' then sized.sum_log_loss
            when 'brier_score' then sized.sum_squared_error
            when 'expected_calibration_error' then sized.gap
            when 'mean_prediction' then sized.sum_score
            when 'calibration_ratio' then sized.sum_score
        end as numerator,
        case metric_names.metric
            {% for name, (counted, among) in rates.items() %}
            when {{ name | literal }} then sized.{{ counted }}_squares
            {% endfor %}
        end as numerator_squares,
        case metric_names.metric
            {% for name, (counted, among) in rates.items() %}
            when {{ name | literal }} then sized.{{ among }}
            {% endfor %}
            {% for name in ['n_requests', 'n_labelled'] + (counts | list) %}
            when {{ name | literal }} then null
            {% endfor %}
            when 'label_coverage' then sized.n_requests
            when 'calibration_ratio' then sized.positive
            else sized.everybody
        end as among,
        case metric_names.metric
            {% for name, (counted, among) in rates.items() %}
            when {{ name | literal }} then sized.{{ among }}_squares
            {% endfor %}
            when 'label_coverage' then sized.n_requests
        end as among_squares,
        case metric_names.metric
            {% for name, (counted, among) in rates.items() %}
            when {{ name | literal }} then sized.n_{{ among }}
            {% endfor %}
            else sized.n_everybody
        end as n_own,
        case metric_names.metric
            when 'n_requests' then sized.n_requests
            when 'n_labelled' then sized.n_labelled
            when 'n_positive' then sized.n_positive
            {% for name, column in weighed_counts.items() %}
            when {{ name | literal }} then sized.{{ column }}
            {% endfor %}
            when 'balanced_accuracy' then
                ({{ safe_divide('sized.tp', 'sized.positive') }} + {{ safe_divide('sized.tn', 'sized.negative') }}) / 2e0
            when 'matthews_correlation_coefficient' then {{ safe_divide(
                'sized.tp * sized.tn - sized.fp * sized.fn',
                'sqrt(sized.selected) * sqrt(sized.positive) * sqrt(sized.negative) * sqrt(sized.rejected)'
            ) }}
        end as ready,
        case
            {% for family, names in families.items() %}
            when metric_names.metric in ({% for name in names %}{{ name | literal }}{% if not loop.last %}, {% endif %}{% endfor %}) then {{ family }}
            {% endfor %}
            else 3
        end as family
    from sized
    cross join {{ names_table('metric', ['n_requests', 'n_labelled', 'label_coverage'] + (counts | list) + (rates | list) + others) }} as metric_names
    where sized.task = 'binary'
    union all
    select
        sized.*,
        metric_names.metric,
        case when metric_names.metric in ('label_coverage', 'accuracy', 'recall_weighted', 'precision_micro', 'recall_micro', 'f1_micro') then 'wilson' end as scale,
        case when metric_names.metric = 'label_coverage' then sized.n_labelled else sized.right_weight end as numerator,
        case when metric_names.metric <> 'label_coverage' then sized.right_squares end as numerator_squares,
        case
            when metric_names.metric = 'label_coverage' then sized.n_requests
            when metric_names.metric not in ('n_requests', 'n_labelled') then sized.everybody
        end as among,
        case when metric_names.metric = 'label_coverage' then sized.n_requests else sized.everybody_squares end as among_squares,
        sized.n_everybody as n_own,
        case metric_names.metric
            when 'n_requests' then sized.n_requests
            when 'n_labelled' then sized.n_labelled
            when 'balanced_accuracy' then means.balanced_accuracy
            {% for rate in class_rates %}
            when '{{ rate }}_macro' then means.{{ rate }}_macro
            {% if rate != 'recall' %}
            when '{{ rate }}_weighted' then means.{{ rate }}_weighted
            {% endif %}
            {% endfor %}
        end as ready,
        case when metric_names.metric in ('n_requests', 'n_labelled', 'label_coverage') then 0 else 1 end as family
    from sized
    left join means
        on {{ same_place('sized', 'means') }}
    cross join {{ names_table('metric', ['n_requests', 'n_labelled', 'label_coverage', 'accuracy', 'balanced_accuracy',
        'precision_macro', 'precision_micro', 'precision_weighted', 'recall_macro', 'recall_micro', 'recall_weighted', 'f1_macro',
        'f1_micro', 'f1_weighted']) }} as metric_names
    where sized.task = 'multiclass'
    {% for rate, parts in class_rates.items() %}
    union all
    select
        sized.*,
        '{{ rate }}[' || classes.class || ']' as metric,
        {{ "'wilson_jaccard'" if rate == 'f1' else "'wilson'" }} as scale,
        classes.correct as numerator,
        classes.correct_squares as numerator_squares,
        {% for prefix, suffix, name in [('', '', 'among'), ('', '_squares', 'among_squares'), ('n_', '', 'n_own')] %}
        {% for part in parts %}classes.{{ prefix ~ part ~ suffix }}{% if not loop.last %} + {% endif %}{% endfor %}{% if rate == 'f1' %} - classes.{{ prefix }}correct{{ suffix }}{% endif %} as {{ name }},
        {% endfor %}
        null as ready,
        1 as family
    from classes
    inner join sized
        on {{ same_place('sized', 'classes') }}
    {% endfor %}
    union all
    select
        sized.*,
        metric_names.metric,
        case when metric_names.metric = 'label_coverage' then 'wilson' end as scale,
        case metric_names.metric
            when 'label_coverage' then sized.n_labelled
            when 'mean_absolute_error' then sized.sum_absolute_error
            when 'mean_squared_error' then sized.sum_squared_error
            when 'mean_squared_log_error' then case when sized.n_logarithms = sized.n_everybody then sized.sum_squared_log_error end
            when 'mean_error' then sized.sum_error
            when 'mean_prediction' then sized.sum_score
            when 'mean_label' then sized.sum_label
        end as numerator,
        null as numerator_squares,
        case
            when metric_names.metric = 'label_coverage' then sized.n_requests
            when metric_names.metric not in ('n_requests', 'n_labelled') then sized.everybody
        end as among,
        case when metric_names.metric = 'label_coverage' then sized.n_requests end as among_squares,
        sized.n_everybody as n_own,
        case metric_names.metric
            when 'n_requests' then sized.n_requests
            when 'n_labelled' then sized.n_labelled
            when 'root_mean_squared_error' then sqrt({{ safe_divide('sized.sum_squared_error', 'sized.everybody') }})
            when 'r2_score' then 1e0 - {{ safe_divide('sized.sum_squared_error', 'sized.sure_spread') }}
            when 'explained_variance' then 1e0 - {{ safe_divide(
                'sized.sum_squared_error - sized.sum_error * ' ~ safe_divide('sized.sum_error', 'sized.everybody'), 'sized.sure_spread'
            ) }}
        end as ready,
        case when metric_names.metric in ('n_requests', 'n_labelled', 'label_coverage') then 0 else 1 end as family
    from sized
    cross join {{ names_table('metric', ['n_requests', 'n_labelled', 'label_coverage'] + regression) }} as metric_names
    where sized.task = 'regression'
),

judged as (
    select
        measured.*,
        measured.family > 0 and case measured.family
            when 1 then measured.hides_1
            when 2 then measured.hides_2
            else measured.hides_3
        end or (
            measured.family > 0
            and measured.slice_value <> 'all'
            and measured.n_own between 1 and measured.min_slice_size - 1
        ) as is_suppressed,
        {{ safe_divide('measured.numerator', 'measured.among') }} as share,
        case
            when measured.is_weighted and measured.numerator_squares is not null
                then {{ effective_rows('measured.numerator', 'measured.among', 'measured.numerator_squares', 'measured.among_squares') }}
            else {{ safe_divide('measured.among * measured.among', 'measured.among_squares') }}
        end as n_effective
    from measured
),

bounded as (
    select
        judged.*,
        coalesce(judged.ready, case when judged.scale = 'wilson_jaccard' then 2e0 * judged.share / (1e0 + judged.share) else judged.share end) as value,
        {% for bound, wilson_bound in {'lower': wilson_lower, 'upper': wilson_upper}.items() %}
        case when judged.scale is not null and judged.n_effective > 0 then {{ wilson_bound('judged.share', 'judged.n_effective') }} end as {{ bound }}{% if not loop.last %},{% endif %}

        {% endfor %}
    from judged
)

select
    bounded.model,
    bounded.version,
    bounded.window_start,
    bounded.window_end,
    bounded.n_windows,
    case when {{ list_length('by_columns') }} = 0 then 'overall' else array_to_string(by_columns, ', ') end as slice_key,
    bounded.slice_value,
    bounded.metric,
    case when not bounded.is_suppressed then bounded.value end as value,
    {% for bound in ['lower', 'upper'] %}
    case
        when bounded.is_suppressed then null
        when bounded.scale = 'wilson_jaccard' then 2e0 * bounded.{{ bound }} / (1e0 + bounded.{{ bound }})
        else bounded.{{ bound }}
    end as ci_{{ bound }},
    {% endfor %}
    case
        when bounded.is_suppressed or bounded.lower is null then null
        when bounded.scale = 'wilson' and bounded.is_weighted then 'wilson_kish'
        else bounded.scale
    end as ci_method,
    cast(bounded.n_everybody as {{ type('int') }}) as n,
    case when not bounded.is_suppressed then bounded.among end as denominator,
    bounded.is_suppressed,
    case
        when bounded.is_suppressed then 'below min_slice_size ' || cast(bounded.min_slice_size as {{ type('string') }})
        when bounded.value is not null then null
        when bounded.n_labelled = 0 then 'no labels known at as_of'
        when bounded.n_everybody = 0 then 'no predictions'
        else 'denominator is 0'
    end as reason
from bounded
{% endset %}
{{ create_query_function('resliced' | wml, {'of_evaluation': type('string'), 'by_columns': list_type(type('string')), 'since': type('timestamp'), 'until': type('timestamp'), 'by_window': type('bool')}, {'since': 'null', 'until': 'null', 'by_window': 'false'}, body) }}
