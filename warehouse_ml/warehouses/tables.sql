-- The toolkit's own tables. Columns are a contract: they are added to, never renamed or taken away.
-- grain: stated above each table
-- unit:  rates in [0, 1], timestamps are instants in UTC, durations in seconds
-- null:  a value that cannot be computed is null, never 0; `reason` says why
{%- set string = type('string') -%}
{%- set int = type('int') -%}
{%- set double = type('double') -%}
{%- set bool = type('bool') -%}
{%- set timestamp = type('timestamp') %}

-- grain: one row per run of a training, finished or failed
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
    n_rows {{ int }}
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
    duration_seconds {{ double }}
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
    definition_hash {{ string }}
);

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
    reason {{ string }}
);

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
);

{% for column, kind in {
    'ci_method': string, 'n_groups': int, 'n_tests': int, 'farthest_slice': string, 'control_key': string, 'control_value': string
}.items() %}
alter table {{ 'fairness' | wml }} add column if not exists {{ column }} {{ kind }};
{% endfor %}

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
);

-- grain: one row per evaluation_id, input, metric
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
    n_current {{ int }}
);

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
);

-- grain: one row per rule, returned row and as_of
create table if not exists {{ 'rule_firings' | wml }} (
    rule {{ string }},
    "on" {{ string }},
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

-- grain: as metrics, but each window only as last restated
create or replace view {{ 'latest_metrics' | wml }} as
select metrics.*
from {{ 'metrics' | wml }} as metrics
where metrics.evaluation_id in (
    select evaluations.evaluation_id
    from {{ 'evaluations' | wml }} as evaluations
    qualify row_number() over (
        partition by evaluations.evaluation, evaluations.model, evaluations.version, evaluations.window_start
        order by evaluations.as_of desc
    ) = 1
);

-- grain: as fairness, but each window only as last restated
create or replace view {{ 'latest_fairness' | wml }} as
select fairness.*
from {{ 'fairness' | wml }} as fairness
where fairness.evaluation_id in (
    select evaluations.evaluation_id
    from {{ 'evaluations' | wml }} as evaluations
    qualify row_number() over (
        partition by evaluations.evaluation, evaluations.model, evaluations.version, evaluations.window_start
        order by evaluations.as_of desc
    ) = 1
);

-- grain: as disparities, but each window only as last restated
create or replace view {{ 'latest_disparities' | wml }} as
select disparities.*
from {{ 'disparities' | wml }} as disparities
where disparities.evaluation_id in (
    select evaluations.evaluation_id
    from {{ 'evaluations' | wml }} as evaluations
    qualify row_number() over (
        partition by evaluations.evaluation, evaluations.model, evaluations.version, evaluations.window_start
        order by evaluations.as_of desc
    ) = 1
)
