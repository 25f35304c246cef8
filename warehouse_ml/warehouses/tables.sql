-- The toolkit's own tables. Columns are a contract: they are added to, never renamed or taken away.
-- grain: stated above each table
-- unit:  rates in [0, 1], timestamps are instants in UTC, durations in seconds
-- null:  a value that cannot be computed is null, never 0; `reason` says why
{%- set string = type('string') -%}
{%- set int = type('int') -%}
{%- set double = type('double') -%}
{%- set bool = type('bool') -%}
{%- set timestamp = type('timestamp') -%}
{%- set metrics_by = metrics_by | default('month') %}

-- grain: one row per run of a training: running, finished, tried or failed
create table if not exists {{ 'training_runs' | wml }} (
    run_id {{ string }},
    model {{ string }},
    version {{ int }},
    as_of {{ timestamp }},
    started_at {{ timestamp }},
    duration_seconds {{ double }},
    status {{ string }},
    error {{ string }},
    options {{ string }},
    metrics {{ string }},
    n_rows {{ int }},
    definition_hash {{ string }},
    data_hash {{ string }}
);

-- grain: one row per hyperparameter trial of a training run
create table if not exists {{ 'trials' | wml }} (
    run_id {{ string }},
    model {{ string }},
    trial_id {{ int }},
    hyperparameters {{ string }},
    metrics {{ string }},
    status {{ string }},
    error {{ string }},
    is_optimal {{ bool }},
    duration_seconds {{ double }},
    training_loss {{ double }},
    eval_loss {{ double }},
    search_hash {{ string }},
    taken_from {{ string }}
);

-- grain: one row per training run and metric, on the rows held out of its training
create table if not exists {{ 'held_out_metrics' | wml }} (
    run_id {{ string }},
    model {{ string }},
    version {{ int }},
    as_of {{ timestamp }},
    task {{ string }},
    label {{ string }},
    comparable_group {{ string }},
    metric {{ string }},
    value {{ double }},
    ci_lower {{ double }},
    ci_upper {{ double }},
    ci_method {{ string }},
    n {{ int }},
    better {{ string }}
);

-- grain: one row per evaluation, version, window and as_of
create table if not exists {{ 'evaluations' | wml }} (
    evaluation_id {{ string }},
    evaluation {{ string }},
    model {{ string }},
    version {{ int }},
    window_start {{ timestamp }},
    window_end {{ timestamp }},
    as_of {{ timestamp }},
    n_requests {{ int }},
    n_labelled {{ int }},
    label_coverage {{ double }},
    is_mature {{ bool }},
    content_hash {{ string }},
    definition_hash {{ string }},
    n_labelled_positive {{ int }},
    label_delay_p50_seconds {{ double }},
    label_delay_p95_seconds {{ double }},
    warning {{ string }},
    task {{ string }},
    rows_hash {{ string }}
){{ table_layout('window_start', metrics_by, ['evaluation', 'model']) }};

-- grain: one row per evaluation_id, slice_key, slice_value, metric
create table if not exists {{ 'metrics' | wml }} (
    evaluation_id {{ string }},
    evaluation {{ string }},
    model {{ string }},
    version {{ int }},
    window_start {{ timestamp }},
    window_end {{ timestamp }},
    as_of {{ timestamp }},
    slice_key {{ string }},
    slice_value {{ string }},
    metric {{ string }},
    value {{ double }},
    ci_lower {{ double }},
    ci_upper {{ double }},
    ci_method {{ string }},
    n {{ int }},
    denominator {{ double }},
    is_suppressed {{ bool }},
    reason {{ string }},
    better {{ string }}
){{ table_layout('window_start', metrics_by, ['evaluation', 'model', 'slice_key']) }};

-- grain: one row per evaluation_id, slice_key, metric, aggregate, and control_key and control_value where they are set
create table if not exists {{ 'fairness' | wml }} (
    evaluation_id {{ string }},
    evaluation {{ string }},
    model {{ string }},
    version {{ int }},
    window_start {{ timestamp }},
    window_end {{ timestamp }},
    as_of {{ timestamp }},
    slice_key {{ string }},
    metric {{ string }},
    aggregate {{ string }},
    value {{ double }},
    ci_lower {{ double }},
    ci_upper {{ double }},
    lowest_slice {{ string }},
    highest_slice {{ string }},
    p_value {{ double }},
    p_adjusted {{ double }},
    ci_method {{ string }},
    n_groups {{ int }},
    n_tests {{ int }},
    farthest_slice {{ string }},
    control_key {{ string }},
    control_value {{ string }}
){{ table_layout('window_start', metrics_by, ['evaluation', 'model', 'slice_key']) }};

-- grain: one row per evaluation_id, slice_key, slice_value, metric
create table if not exists {{ 'disparities' | wml }} (
    evaluation_id {{ string }},
    evaluation {{ string }},
    model {{ string }},
    version {{ int }},
    window_start {{ timestamp }},
    window_end {{ timestamp }},
    as_of {{ timestamp }},
    slice_key {{ string }},
    slice_value {{ string }},
    metric {{ string }},
    value {{ double }},
    n {{ int }},
    reference {{ string }},
    reference_slice {{ string }},
    reference_value {{ double }},
    disparity {{ double }},
    ci_lower {{ double }},
    ci_upper {{ double }},
    ci_method {{ string }},
    difference {{ double }},
    p_value {{ double }},
    p_adjusted {{ double }},
    n_tests {{ int }},
    highest_slice {{ string }},
    ratio_to_highest {{ double }},
    is_suppressed {{ bool }},
    reason {{ string }}
){{ table_layout('window_start', metrics_by, ['evaluation', 'model', 'slice_key']) }};

-- grain: one row per evaluation_id, reference, input, metric
create table if not exists {{ 'drift' | wml }} (
    evaluation_id {{ string }},
    evaluation {{ string }},
    model {{ string }},
    version {{ int }},
    window_start {{ timestamp }},
    window_end {{ timestamp }},
    as_of {{ timestamp }},
    input {{ string }},
    metric {{ string }},
    method {{ string }},
    threshold {{ double }},
    value {{ double }},
    is_anomaly {{ bool }},
    n_reference {{ int }},
    n_current {{ int }},
    kind {{ string }},
    reference {{ string }},
    p_value {{ double }},
    importance {{ double }}
){{ table_layout('window_start', metrics_by, ['evaluation', 'model']) }};

-- grain: one row per evaluation_id, slice_key, slice_value, bin
create table if not exists {{ 'calibration' | wml }} (
    evaluation_id {{ string }},
    evaluation {{ string }},
    model {{ string }},
    version {{ int }},
    window_start {{ timestamp }},
    window_end {{ timestamp }},
    as_of {{ timestamp }},
    slice_key {{ string }},
    slice_value {{ string }},
    bin {{ int }},
    n {{ int }},
    mean_prediction {{ double }},
    mean_label {{ double }}
){{ table_layout('window_start', metrics_by, ['evaluation', 'model', 'slice_key']) }};

-- grain: one row per comparison_id, slice_key, slice_value, metric
create table if not exists {{ 'comparisons' | wml }} (
    comparison_id {{ string }},
    evaluation {{ string }},
    model {{ string }},
    version {{ int }},
    other_version {{ int }},
    window_start {{ timestamp }},
    window_end {{ timestamp }},
    as_of {{ timestamp }},
    slice_key {{ string }},
    slice_value {{ string }},
    metric {{ string }},
    n_pairs {{ int }},
    value {{ double }},
    other_value {{ double }},
    difference {{ double }},
    ci_lower {{ double }},
    ci_upper {{ double }},
    p_value {{ double }},
    p_adjusted {{ double }},
    n_flips {{ int }},
    n_gained {{ int }},
    n_lost {{ int }},
    ci_method {{ string }},
    test {{ string }},
    is_suppressed {{ bool }},
    reason {{ string }}
){{ table_layout('window_start', metrics_by, ['evaluation', 'model', 'slice_key']) }};

-- grain: one row per evaluation_id, metric, slice_key and slice_value that a search found to do worse than the rest
create table if not exists {{ 'worst_slices' | wml }} (
    evaluation_id {{ string }},
    evaluation {{ string }},
    model {{ string }},
    version {{ int }},
    window_start {{ timestamp }},
    window_end {{ timestamp }},
    as_of {{ timestamp }},
    slice_key {{ string }},
    slice_value {{ string }},
    metric {{ string }},
    n {{ int }},
    value {{ double }},
    rest_value {{ double }},
    difference {{ double }},
    effect_size {{ double }},
    ci_lower {{ double }},
    ci_upper {{ double }},
    p_value {{ double }},
    p_adjusted {{ double }},
    n_tests {{ int }},
    rank {{ int }}
){{ table_layout('window_start', metrics_by, ['evaluation', 'model', 'slice_key']) }};

-- grain: one row per evaluation_id, combination of all slice columns (JSON text in `slices`), label, prediction and bin
create table if not exists {{ 'metric_cells' | wml }} (
    evaluation_id {{ string }},
    evaluation {{ string }},
    model {{ string }},
    version {{ int }},
    window_start {{ timestamp }},
    window_end {{ timestamp }},
    as_of {{ timestamp }},
    task {{ string }},
    slices {{ string }},
    label {{ string }},
    prediction {{ string }},
    bin {{ int }},
    n_rows {{ int }},
    n_labelled {{ int }},
    n_scored {{ int }},
    weight {{ double }},
    weight_squares {{ double }},
    sum_score {{ double }},
    sum_label {{ double }},
    sum_log_loss {{ double }},
    sum_squared_error {{ double }},
    sum_absolute_error {{ double }},
    sum_error {{ double }},
    sum_squared_log_error {{ double }},
    n_logarithms {{ int }},
    label_spread {{ double }},
    is_weighted {{ bool }},
    min_slice_size {{ int }}
){{ table_layout('window_start', metrics_by, ['evaluation', 'model']) }};

-- grain: one row per rule, returned row and as_of
create table if not exists {{ 'rule_firings' | wml }} (
    rule {{ string }},
    {{ 'on' | ident }} {{ string }},
    model {{ string }},
    fired_at {{ timestamp }},
    as_of {{ timestamp }},
    returned_row {{ string }}
);

-- grain: one row per relation, as it was last built
create table if not exists {{ 'builds' | wml }} (
    relation {{ string }},
    materialized {{ string }},
    definition_hash {{ string }},
    inputs_hash {{ string }},
    window_start {{ timestamp }},
    as_of {{ timestamp }},
    n_rows {{ int }},
    duration_seconds {{ double }},
    built_at {{ timestamp }}
);

-- grain: one row per build of a relation, in the order built; rows are only ever added
create table if not exists {{ 'build_history' | wml }} (
    relation {{ string }},
    materialized {{ string }},
    definition_hash {{ string }},
    window_start {{ timestamp }},
    as_of {{ timestamp }},
    built_at {{ timestamp }}
);

-- grain: one row per definition of a relation that was ever built, under its hash; rows are only ever added
create table if not exists {{ 'definitions' | wml }} (
    definition_hash {{ string }},
    relation {{ string }},
    sql {{ string }},
    upstream {{ string }},
    git_commit {{ string }},
    git_is_dirty {{ bool }},
    first_built_at {{ timestamp }}
);

-- grain: one row per profile (the training rows that drift is measured from), column and number, and one per bucket of numbers or texts
create table if not exists {{ 'drift_profiles' | wml }} (
    profile {{ string }},
    as_of {{ timestamp }},
    input {{ int }},
    number {{ double }},
    text {{ string }},
    tenth {{ int }},
    n_rows {{ int }}
);

-- grain: as evaluations, but each window only as last restated
create or replace view {{ 'latest_evaluations' | wml }} as
select evaluations.*
from {{ 'evaluations' | wml }} as evaluations
qualify row_number() over (
    partition by evaluations.evaluation, evaluations.model, evaluations.version, evaluations.window_start
    order by evaluations.as_of desc
) = 1;

-- grain: as metrics, but each window only as last restated
create or replace view {{ 'latest_metrics' | wml }} as
select metrics.*
from {{ 'metrics' | wml }} as metrics
where metrics.evaluation_id in (
    select latest_evaluations.evaluation_id
    from {{ 'latest_evaluations' | wml }} as latest_evaluations
);

-- grain: as fairness, but each window only as last restated
create or replace view {{ 'latest_fairness' | wml }} as
select fairness.*
from {{ 'fairness' | wml }} as fairness
where fairness.evaluation_id in (
    select latest_evaluations.evaluation_id
    from {{ 'latest_evaluations' | wml }} as latest_evaluations
);

-- grain: as disparities, but each window only as last restated
create or replace view {{ 'latest_disparities' | wml }} as
select disparities.*
from {{ 'disparities' | wml }} as disparities
where disparities.evaluation_id in (
    select latest_evaluations.evaluation_id
    from {{ 'latest_evaluations' | wml }} as latest_evaluations
);

-- grain: one row per evaluation_id, slice_key, slice_value of the latest; a column for each metric
create or replace view {{ 'latest_metrics_wide' | wml }} as
select
    metrics.evaluation_id,
    metrics.evaluation,
    metrics.model,
    metrics.version,
    metrics.window_start,
    metrics.window_end,
    metrics.as_of,
    metrics.slice_key,
    metrics.slice_value,
{% for metric in [
    'n_requests', 'n_labelled', 'label_coverage', 'n_positive', 'true_positives', 'false_positives', 'true_negatives',
    'false_negatives', 'selection_rate', 'prevalence', 'accuracy', 'balanced_accuracy', 'precision', 'recall', 'specificity',
    'false_positive_rate', 'false_negative_rate', 'npv', 'false_discovery_rate', 'false_omission_rate', 'f1_score',
    'matthews_correlation_coefficient', 'roc_auc', 'average_precision', 'log_loss', 'brier_score',
    'expected_calibration_error', 'calibration_ratio', 'mean_prediction', 'mean_label', 'precision_macro', 'precision_micro',
    'precision_weighted', 'recall_macro', 'recall_micro', 'recall_weighted', 'f1_macro', 'f1_micro', 'f1_weighted',
    'mean_absolute_error', 'mean_squared_error', 'root_mean_squared_error', 'mean_squared_log_error',
    'median_absolute_error', 'r2_score', 'explained_variance', 'mean_error', 'kolmogorov_smirnov',
] %}
    max(case when metrics.metric = '{{ metric }}' then metrics.value end) as {{ metric }}{% if not loop.last %},{% endif %}

{% endfor %}
from {{ 'latest_metrics' | wml }} as metrics
group by
    metrics.evaluation_id,
    metrics.evaluation,
    metrics.model,
    metrics.version,
    metrics.window_start,
    metrics.window_end,
    metrics.as_of,
    metrics.slice_key,
    metrics.slice_value;

-- grain: one row per evaluation, model, version, window_start, slice_key, slice_value, metric of the latest that has an interval
-- The interval of the change is made of both intervals (the method of variance estimates recovery, Zou and Donner, 2008),
-- as two windows share no request and are independent.
create or replace view {{ 'metric_changes' | wml }} as
with windows as (
    select
        metrics.evaluation,
        metrics.model,
        metrics.version,
        metrics.slice_key,
        metrics.slice_value,
        metrics.metric,
        metrics.window_start,
        lag(metrics.window_start) over each_series as previous_window_start,
        metrics.value,
        lag(metrics.value) over each_series as previous_value,
        metrics.ci_lower,
        lag(metrics.ci_lower) over each_series as previous_ci_lower,
        metrics.ci_upper,
        lag(metrics.ci_upper) over each_series as previous_ci_upper,
        metrics.better
    from {{ 'latest_metrics' | wml }} as metrics
    where metrics.value is not null
        and metrics.window_start is not null
    window
        each_series as (
            partition by
                metrics.evaluation,
                metrics.model,
                metrics.version,
                metrics.slice_key,
                metrics.slice_value,
                metrics.metric
            order by metrics.window_start asc
        )
),

changes as (
    select
        windows.evaluation,
        windows.model,
        windows.version,
        windows.slice_key,
        windows.slice_value,
        windows.metric,
        windows.window_start,
        windows.previous_window_start,
        windows.value,
        windows.previous_value,
        windows.value - windows.previous_value as change,
        windows.value - windows.previous_value - sqrt(
            power(windows.value - windows.ci_lower, 2) + power(windows.previous_ci_upper - windows.previous_value, 2)
        ) as ci_lower,
        windows.value - windows.previous_value + sqrt(
            power(windows.ci_upper - windows.value, 2) + power(windows.previous_value - windows.previous_ci_lower, 2)
        ) as ci_upper,
        windows.better
    from windows
    where windows.previous_value is not null
)

select
    changes.evaluation,
    changes.model,
    changes.version,
    changes.slice_key,
    changes.slice_value,
    changes.metric,
    changes.window_start,
    changes.previous_window_start,
    changes.value,
    changes.previous_value,
    changes.change,
    changes.ci_lower,
    changes.ci_upper,
    case
        when changes.better is null then null
        when changes.ci_lower <= 0 and changes.ci_upper >= 0 then 'no clear change'
        when changes.better = 'higher' and changes.change > 0 then 'better'
        when changes.better = 'lower' and changes.change < 0 then 'better'
        when changes.ci_lower is not null then 'worse'
    end as verdict
from changes;

-- grain: as comparisons, but each window and two versions only as last compared
create or replace view {{ 'latest_comparisons' | wml }} as
select comparisons.*
from {{ 'comparisons' | wml }} as comparisons
qualify comparisons.as_of = max(comparisons.as_of) over (
    partition by
        comparisons.evaluation, comparisons.model, comparisons.version, comparisons.other_version, comparisons.window_start
);

-- grain: one row per metric of a version's evaluated window, or of a training run's rows held out
-- Ranked are those of one comparable_group: the same requests with the same answers, the same rows held out.
create or replace view {{ 'leaderboard' | wml }} as
with entries as (
    select
        'evaluation' as source,
        {{ hash_text(row_text(['evaluations.task', 'evaluations.rows_hash'])) }} as comparable_group,
        evaluations.task,
        cast(null as {{ string }}) as label,
        metrics.evaluation,
        metrics.window_start,
        metrics.window_end,
        metrics.as_of,
        metrics.model,
        metrics.version,
        cast(null as {{ string }}) as run_id,
        metrics.metric,
        metrics.value,
        metrics.ci_lower,
        metrics.ci_upper,
        metrics.n,
        metrics.better
    from {{ 'latest_metrics' | wml }} as metrics
    inner join {{ 'evaluations' | wml }} as evaluations
        on metrics.evaluation_id = evaluations.evaluation_id
    where metrics.slice_key = 'overall'
        and evaluations.rows_hash is not null
    union all
    select
        'held out' as source,
        held_out.comparable_group,
        held_out.task,
        held_out.label,
        cast(null as {{ string }}) as evaluation,
        cast(null as {{ timestamp }}) as window_start,
        cast(null as {{ timestamp }}) as window_end,
        held_out.as_of,
        held_out.model,
        held_out.version,
        held_out.run_id,
        held_out.metric,
        held_out.value,
        held_out.ci_lower,
        held_out.ci_upper,
        held_out.n,
        held_out.better
    from {{ 'held_out_metrics' | wml }} as held_out
)

select
    entries.source,
    entries.comparable_group,
    entries.task,
    entries.label,
    entries.evaluation,
    entries.window_start,
    entries.window_end,
    entries.as_of,
    entries.model,
    entries.version,
    entries.run_id,
    entries.metric,
    entries.value,
    entries.ci_lower,
    entries.ci_upper,
    entries.n,
    entries.better,
    case
        when entries.better is not null and entries.value is not null then
            rank() over (
                partition by entries.source, entries.comparable_group, entries.metric
                order by case entries.better when 'higher' then -entries.value else entries.value end asc nulls last
            )
    end as rank,
    count(*) over (partition by entries.source, entries.comparable_group, entries.metric) as n_compared
from entries;

-- grain: one row per evaluation, version, window, slice, metric and as_of: how a value changed as answers came
create or replace view {{ 'metric_history' | wml }} as
select
    metrics.evaluation,
    metrics.model,
    metrics.version,
    metrics.window_start,
    metrics.slice_key,
    metrics.slice_value,
    metrics.metric,
    metrics.as_of,
    metrics.value,
    metrics.ci_lower,
    metrics.ci_upper,
    windows.label_coverage,
    windows.is_mature,
    windows.is_latest
from {{ 'metrics' | wml }} as metrics
inner join (
    select
        evaluations.evaluation_id,
        evaluations.label_coverage,
        evaluations.is_mature,
        evaluations.as_of = max(evaluations.as_of) over (
            partition by evaluations.evaluation, evaluations.model, evaluations.version, evaluations.window_start
        ) as is_latest
    from {{ 'evaluations' | wml }} as evaluations
) as windows
    on metrics.evaluation_id = windows.evaluation_id
