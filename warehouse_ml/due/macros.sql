{#-
    The usual rules, each a whole query: a rule's file is its config(...) and one call. A row says that something is due:
    reason, then value and bound where there is a number, then what it is about.

    None sees anything later than the clock. Of a window it sees the last restatement known then; of a model without a
    version nothing is due but its schedule. A null, hidden or missing value never fires, nor does one that is at its bound.
-#}

{#- Which version of a model was champion from when on, as known at the clock; `until` may lie after it. -#}
{%- macro _reigns(model) -%}
reigns as (
    select
        periods.version,
        periods.since,
        periods.until
    from {{ 'alias_periods' | wml }} as periods
    where
        periods.model = {{ model | literal }}
        and periods.alias = 'champion'
        and periods.since <= {{ as_of }}
),
{%- endmacro -%}

{#- The version that a rule is about, as of the clock: its number, when it was trained, of what. One row or none. -#}
{%- macro _chosen(model, version) -%}
{% if version == 'champion' %}
{{ _reigns(model) }}

serving as (
    select reigns.version
    from reigns
    where
        reigns.until is null
        or reigns.until > {{ as_of }}
),

{% endif %}
chosen as (
    select
        versions.version,
        versions.as_of as trained_at,
        versions.definition_hash,
        versions.git_commit
    from {{ 'model_versions' | wml }} as versions
{% if version == 'champion' %}
    inner join serving
        on versions.version = serving.version
{% endif %}
    where
        versions.model = {{ model | literal }}
        and versions.as_of <= {{ as_of }}
{% if version is integer %}
        and versions.version = {{ version }}
{% endif %}
    qualify row_number() over (order by versions.as_of desc, versions.version desc) = 1
)
{%- endmacro -%}

{#-
    The windows of evaluations as they were last stated at the clock, each with its place from the newest, 1. They are of
    one version, or, of those that served, of the one that was champion when the window ended.
-#}
{%- macro _windows(macro, model, evaluation, version, mature, rest_days) -%}
{% set about = evaluation_of(evaluation) %}
{% set named = subject(model) if about else model_of(macro, model) %}
{% set which = window_version(version) if named else none %}
{% if which == 'served' %}
{{ _reigns(named) }}

{% elif named %}
{{ _chosen(named, which) }},

{% endif %}
stated as (
    select
        evaluations.evaluation_id,
        evaluations.evaluation,
        evaluations.version,
        evaluations.window_start,
        evaluations.window_end,
        evaluations.is_mature
    from {{ 'evaluations' | wml }} as evaluations
{% if named and which != 'served' %}
    inner join chosen
        on evaluations.version = chosen.version
{% endif %}
    where
        evaluations.as_of <= {{ as_of }}
{% if named %}
        and evaluations.model = {{ named | literal }}
{% endif %}
{% if about %}
        and evaluations.evaluation = {{ about | literal }}
{% endif %}
    qualify row_number() over (
        partition by evaluations.evaluation, evaluations.model, evaluations.version, evaluations.window_start
        order by evaluations.as_of desc
    ) = 1
),

{% if which == 'served' %}
champions as (
    select
        stated.evaluation_id,
        reigns.version
    from stated
    inner join reigns
        on stated.window_end is null or reigns.since < stated.window_end
    where
        reigns.until is null
        or reigns.until > {{ as_of }}
        or reigns.until >= stated.window_end
    qualify row_number() over (partition by stated.evaluation_id order by reigns.since desc) = 1
),

{% endif %}
windows as (
    select
        stated.evaluation_id,
        stated.evaluation,
        stated.version,
        stated.window_start,
{% if named %}
        0 as series,
{% else %}
        stated.version as series,
{% endif %}
        row_number() over (
            partition by stated.evaluation{{ '' if named else ', stated.version' }}
            order by stated.window_start desc nulls last
        ) as place
    from stated
{% if which == 'served' %}
    inner join champions
        on stated.evaluation_id = champions.evaluation_id
        and stated.version = champions.version
{% endif %}
{% if mature %}
    where stated.is_mature
{% endif %}
),

{# A version this young is not asked about again: its successor has yet to be judged. #}
rested as (
    select count(*) as n_young
    from {{ 'model_versions' | wml }} as versions
    where
        versions.model = {{ (named or '') | literal }}
        and versions.as_of <= {{ as_of }}
        and {{ seconds_between('versions.as_of', as_of) }} < {{ number(rest_days, 'rest_days') }} * 86400
),
{%- endmacro -%}

{#-
    Fails where these windows have rows and none of them a name that the rule is about: with a slip of the pen in it the
    rule would never fire. `names` are pairs of a column and what must be found in it.
-#}
{%- macro _slips(relation, names) -%}
slips as {{ materialized() }} (
    select
        case
            when count(*) = 0 then 0
{% for column, name in names %}
            when {{ count_where('named.' ~ column ~ ' = ' ~ (name | literal)) }} = 0
                then {{ raise_error('no ' ~ column ~ ' "' ~ name ~ '" in wml.' ~ relation ~ ' for the windows of this rule; see: select distinct ' ~ column ~ ' from wml.' ~ relation) }}
{% endfor %}
            else 0
        end as n_slips
    from {{ relation | wml }} as named
    inner join windows
        on named.evaluation_id = windows.evaluation_id
),
{%- endmacro -%}

{%- macro _metric_slips(relation, metric, slices) -%}
{{ _slips(relation, pairs('metric', [metric]) + pairs('slice_key', texts(slices, 'slices') or [])) }}
{%- endmacro -%}

{%- macro _of_slices(relation, slices) -%}
{% set names = texts(slices, 'slices') %}
{% if names is not none %}
{{ '\n        ' }}and {{ relation }}.slice_key in ({% for name in names %}{{ name | literal }}{% if not loop.last %}, {% endif %}{% endfor %})
{% endif %}
{%- endmacro -%}

{#- The rows of a relation about the newest window, once the rule has rested and no name in it is a slip. -#}
{%- macro _of_newest(relation, metric, slices='*') -%}
{{ '    ' }}from windows
    inner join {{ relation | wml }} as {{ relation }}
        on windows.evaluation_id = {{ relation }}.evaluation_id
    cross join rested
    cross join slips
    where
        windows.place = 1
        and rested.n_young = 0
        and slips.n_slips = 0
        and {{ relation }}.metric = {{ metric | literal }}{{ _of_slices(relation, slices) }}
{%- endmacro -%}

{%- macro _shown(columns) -%}
select
{% for column in columns %}
    final.{{ column }}{{ '' if loop.last else ',' }}
{% endfor %}
from final
{%- endmacro -%}

{%- macro _by_slice() -%}
order by
    final.evaluation asc,
    final.slice_key asc,
    final.slice_value asc
{%- endmacro -%}

{#- Due once for each instant of a schedule: no firing of the rule and, of one for retraining, no version is from since. -#}
{%- macro on_schedule(schedule, timezone='UTC', model=none) -%}
{% set about = subject(model) %}
with due as (
    select cast({{ last_instant(schedule, timezone) }} as {{ type('timestamp') }}) as due_at
),

{# A firing that ended in a failed training has not been heard. #}
heard as (
    select max(firings.as_of) as last_at
    from {{ 'rule_firings' | wml }} as firings
{% if about %}
    left join {{ 'training_runs' | wml }} as runs
        on firings.as_of = runs.as_of
        and runs.model = {{ about | literal }}
        and runs.status = 'failed'
{% endif %}
    where
        firings.rule = {{ rule_name | literal }}
        and firings.as_of < {{ as_of }}
{% if about %}
        and runs.run_id is null
{% endif %}
),

trained as (
    select max(versions.as_of) as last_at
    from {{ 'model_versions' | wml }} as versions
    where
        versions.model = {{ (about if trains() and about else '') | literal }}
        and versions.as_of <= {{ as_of }}
),

final as (
    select
        'the schedule is due' as reason,
        {{ schedule | literal }} as schedule,
        {{ timezone | literal }} as timezone,
        due.due_at,
        greatest(coalesce(heard.last_at, trained.last_at), coalesce(trained.last_at, heard.last_at)) as last_at
    from due
    cross join heard
    cross join trained
)

{{ _shown(['reason', 'schedule', 'timezone', 'due_at', 'last_at']) }}
where
    final.due_at is not null
    and (final.last_at is null or final.last_at < final.due_at)
{%- endmacro -%}

{#- Due when a version was trained more than so many days before the clock. -#}
{%- macro version_older_than(days, version='newest', model=none) -%}
{% set about = model_of('version_older_than', model) %}
with
{{ _chosen(about, version_of(version)) }},

final as (
    select
        'the version is old' as reason,
        {{ seconds_between('chosen.trained_at', as_of) }} / 86400 as value,
        {{ number(days, 'days') }} as bound,
        chosen.version,
        chosen.trained_at
    from chosen
)

{{ _shown(['reason', 'value', 'bound', 'version', 'trained_at']) }}
where final.value > final.bound
{%- endmacro -%}

{#- Due when a relation has more than so many rows from after a version was trained; `at` is their timestamp. -#}
{%- macro new_rows(relation, at, more_than=0, version='newest', model=none) -%}
{% set about = model_of('new_rows', model) %}
with
{{ _chosen(about, version_of(version)) }},

final as (
    select
        'there are new rows since the version was trained' as reason,
        count(*) as value,
        {{ number(more_than, 'more_than') }} as bound,
        {{ relation | replace('"', '') | replace('`', '') | literal }} as relation,
        chosen.version,
        chosen.trained_at,
        min(wml_rows.{{ at | ident }}) as first_at,
        max(wml_rows.{{ at | ident }}) as last_at
    from {{ relation }} as wml_rows
    inner join chosen
        on wml_rows.{{ at | ident }} > chosen.trained_at
    where wml_rows.{{ at | ident }} <= {{ as_of }}
    group by
        chosen.version,
        chosen.trained_at
)

{{ _shown(['reason', 'value', 'bound', 'relation', 'version', 'trained_at', 'first_at', 'last_at']) }}
where final.value > final.bound
{%- endmacro -%}

{%- macro _metric_beyond(macro, side, metric, bound, slices, evaluation, version, mature, surely, rest_days, model) -%}
with
{{ _windows(macro, model, evaluation, version, mature, rest_days) }}

{{ _metric_slips('metrics', metric, slices) }}

final as (
    select
        {{ ('the metric is ' ~ side ~ ' its bound') | literal }} as reason,
        metrics.value,
        {{ number(bound, 'bound') }} as bound,
        metrics.metric,
        metrics.slice_key,
        metrics.slice_value,
        windows.evaluation,
        windows.version,
        windows.window_start,
        metrics.ci_lower,
        metrics.ci_upper
{{ _of_newest('metrics', metric, slices) }}
)

{{ _shown([
    'reason', 'value', 'bound', 'metric', 'slice_key', 'slice_value', 'evaluation', 'version', 'window_start',
    'ci_lower', 'ci_upper'
]) }}
where
    final.value {{ '<' if side == 'below' else '>' }} final.bound
{% if surely %}
    and final.{{ 'ci_upper' if side == 'below' else 'ci_lower' }} {{ '<' if side == 'below' else '>' }} final.bound
{% endif %}
{{ _by_slice() }}
{%- endmacro -%}

{#- Due when a metric of the last mature window is below a bound; with `surely`, when its whole interval is. -#}
{%- macro metric_below(metric, bound, slices='overall', evaluation=none, version=none, mature=true, surely=false, rest_days=0, model=none) -%}
{{ _metric_beyond('metric_below', 'below', metric, bound, slices, evaluation, version, mature, surely, rest_days, model) }}
{%- endmacro -%}

{#- As metric_below, of a metric that is to be low. -#}
{%- macro metric_above(metric, bound, slices='overall', evaluation=none, version=none, mature=true, surely=false, rest_days=0, model=none) -%}
{{ _metric_beyond('metric_above', 'above', metric, bound, slices, evaluation, version, mature, surely, rest_days, model) }}
{%- endmacro -%}

{#-
    Due when a metric of the last mature window is worse than the mean of the `windows` before it by more than chance: the
    interval of the difference leaves out 0 (and `by`, how much worse it must be at least, is reached). The interval is made
    of those of all the windows (the method of variance estimates recovery, Zou and Donner, 2008), which share no request.
-#}
{%- macro metric_worse_than_before(metric, windows=1, by=0, slices='overall', evaluation=none, version=none, mature=true, rest_days=0, model=none) -%}
{% set n_before = count_of(windows, 'windows') %}
with
{{ _windows('metric_worse_than_before', model, evaluation, version, mature, rest_days) }}

{{ _metric_slips('metrics', metric, slices) }}

measured as (
    select
        windows.evaluation,
        windows.version,
        windows.window_start,
        windows.series,
        windows.place,
        metrics.metric,
        metrics.slice_key,
        metrics.slice_value,
        metrics.value,
        metrics.ci_lower,
        metrics.ci_upper,
        metrics.better,
        row_number() over (
            partition by windows.evaluation, windows.series, metrics.slice_key, metrics.slice_value
            order by windows.window_start desc
        ) as age
    from windows
    inner join {{ 'metrics' | wml }} as metrics
        on windows.evaluation_id = metrics.evaluation_id
    where
        metrics.metric = {{ metric | literal }}
        and windows.window_start is not null
        and metrics.value is not null
        and metrics.ci_lower is not null
        and metrics.ci_upper is not null{{ _of_slices('metrics', slices) }}
),

past as (
    select
        measured.evaluation,
        measured.series,
        measured.slice_key,
        measured.slice_value,
        count(*) as n_windows,
        avg(measured.value) as value,
        sqrt(sum((measured.value - measured.ci_lower) * (measured.value - measured.ci_lower))) / count(*) as below,
        sqrt(sum((measured.ci_upper - measured.value) * (measured.ci_upper - measured.value))) / count(*) as above,
        min(measured.window_start) as first_window_start
    from measured
    where
        measured.age > 1
        and measured.age <= {{ n_before + 1 }}
    group by
        measured.evaluation,
        measured.series,
        measured.slice_key,
        measured.slice_value
),

final as (
    select
        'the metric is worse than before' as reason,
        measured.value,
        past.value as bound,
        measured.metric,
        measured.slice_key,
        measured.slice_value,
        measured.evaluation,
        measured.version,
        measured.window_start,
        past.first_window_start,
        past.n_windows,
        measured.better,
        measured.value - past.value as change,
        measured.value - past.value - sqrt(power(measured.value - measured.ci_lower, 2) + power(past.above, 2)) as ci_lower,
        measured.value - past.value + sqrt(power(measured.ci_upper - measured.value, 2) + power(past.below, 2)) as ci_upper
    from measured
    inner join past
        on measured.evaluation = past.evaluation
        and {{ same('measured.series', 'past.series') }}
        and measured.slice_key = past.slice_key
        and measured.slice_value = past.slice_value
    cross join rested
    cross join slips
    where
        measured.place = 1
        and past.n_windows = {{ n_before }}
        and rested.n_young = 0
        and slips.n_slips = 0
)

{{ _shown([
    'reason', 'value', 'bound', 'metric', 'slice_key', 'slice_value', 'evaluation', 'version', 'window_start',
    'first_window_start', 'change', 'ci_lower', 'ci_upper'
]) }}
where
    abs(final.change) >= {{ number(by, 'by') }}
    and (
        (final.better = 'higher' and final.ci_upper < 0)
        or (final.better = 'lower' and final.ci_lower > 0)
    )
{{ _by_slice() }}
{%- endmacro -%}

{#-
    Due when a group of a slice differs from the reference group by more than a bound, beyond chance: Holm's p over all the
    groups and metrics of the window is below `significance`; none leaves chance out of it. `side` says which way: a group
    that is 'below' the reference, 'above' it, or either.
-#}
{%- macro slice_differs(metric, by=0, slices='*', side='either', significance=0.05, evaluation=none, version=none, mature=true, rest_days=0, model=none) -%}
{% set side = one_of(side, 'side', ['either', 'below', 'above']) %}
with
{{ _windows('slice_differs', model, evaluation, version, mature, rest_days) }}

{{ _metric_slips('disparities', metric, slices) }}

final as (
    select
        'the group differs from its reference' as reason,
        disparities.difference as value,
        {{ number(by, 'by') }} as bound,
        disparities.metric,
        disparities.slice_key,
        disparities.slice_value,
        disparities.value as group_value,
        disparities.reference_slice,
        disparities.reference_value,
        disparities.n,
        disparities.p_adjusted,
        windows.evaluation,
        windows.version,
        windows.window_start
{{ _of_newest('disparities', metric, slices) }}
)

{{ _shown([
    'reason', 'value', 'bound', 'metric', 'slice_key', 'slice_value', 'group_value', 'reference_slice',
    'reference_value', 'n', 'p_adjusted', 'evaluation', 'version', 'window_start'
]) }}
where
{% if side == 'below' %}
    -final.value > final.bound
{% elif side == 'above' %}
    final.value > final.bound
{% else %}
    abs(final.value) > final.bound
{% endif %}
{% if significance is not none %}
    and final.p_adjusted < {{ number(significance, 'significance') }}
{% endif %}
{{ _by_slice() }}
{%- endmacro -%}

{#- Due when a group's value is less than a share of the highest group's: the impact ratio, of the selection rate. -#}
{%- macro impact_ratio_below(bound, metric='selection_rate', slices='*', evaluation=none, version=none, mature=true, rest_days=0, model=none) -%}
with
{{ _windows('impact_ratio_below', model, evaluation, version, mature, rest_days) }}

{{ _metric_slips('disparities', metric, slices) }}

final as (
    select
        'the impact ratio is below its bound' as reason,
        disparities.ratio_to_highest as value,
        {{ number(bound, 'bound') }} as bound,
        disparities.metric,
        disparities.slice_key,
        disparities.slice_value,
        disparities.value as group_value,
        disparities.highest_slice,
        disparities.n,
        windows.evaluation,
        windows.version,
        windows.window_start
{{ _of_newest('disparities', metric, slices) }}
)

{{ _shown([
    'reason', 'value', 'bound', 'metric', 'slice_key', 'slice_value', 'group_value', 'highest_slice', 'n',
    'evaluation', 'version', 'window_start'
]) }}
where final.value < final.bound
{{ _by_slice() }}
{%- endmacro -%}

{#-
    Due when what the last window asked is farther from the reference than a threshold: the metric's usual one, or `above`.
    With `importance_above`, of inputs with more than this share of the importance alone. Inputs need no answers, so that
    the window need not be mature.
-#}
{%- macro input_drifts(metric='psi', above=none, importance_above=none, inputs='*', evaluation=none, version=none, mature=false, rest_days=0, model=none) -%}
{% set names = texts(inputs, 'inputs') %}
with
{{ _windows('input_drifts', model, evaluation, version, mature, rest_days) }}

{{ _slips('drift', pairs('metric', [metric]) + pairs('input', names or [])) }}

final as (
    select
        'the input drifts' as reason,
        drift.value,
{% if above is none %}
        drift.threshold as bound,
{% else %}
        {{ number(above, 'above') }} as bound,
{% endif %}
        drift.input,
        drift.metric,
        drift.reference,
        drift.importance,
        drift.n_reference,
        drift.n_current,
        windows.evaluation,
        windows.version,
        windows.window_start
{{ _of_newest('drift', metric) }}
{% if names is none %}
        and drift.kind = 'input'
{% else %}
        and drift.input in ({% for name in names %}{{ name | literal }}{% if not loop.last %}, {% endif %}{% endfor %})
{% endif %}
)

{{ _shown([
    'reason', 'value', 'bound', 'input', 'metric', 'reference', 'importance', 'n_reference', 'n_current',
    'evaluation', 'version', 'window_start'
]) }}
where
    final.value > final.bound
{% if importance_above is not none %}
    and final.importance > {{ number(importance_above, 'importance_above') }}
{% endif %}
order by
    final.evaluation asc,
    final.value desc,
    final.input asc
{%- endmacro -%}

{#- Due when a model's file, or a relation above it, says something else than when a version was trained. -#}
{%- macro definition_changed(version='newest', model=none) -%}
{% set about = model_of('definition_changed', model) %}
with
{{ _chosen(about, version_of(version)) }},

final as (
    select
        'the definition has changed' as reason,
        chosen.version,
        chosen.trained_at,
        chosen.definition_hash as trained_from,
        {{ definition_hash(about) | literal }} as now
    from chosen
)

{{ _shown(['reason', 'version', 'trained_at', 'trained_from', 'now']) }}
where final.trained_from <> final.now
{%- endmacro -%}

{#- Due when the project stands at another git commit than when a version was trained; never outside a repository. -#}
{%- macro commit_changed(version='newest', model=none) -%}
{% set about = model_of('commit_changed', model) %}
with
{{ _chosen(about, version_of(version)) }},

final as (
    select
        'the code was released anew' as reason,
        chosen.version,
        chosen.trained_at,
        chosen.git_commit as trained_from,
        cast({{ commit() | literal }} as {{ type('string') }}) as now
    from chosen
)

{{ _shown(['reason', 'version', 'trained_at', 'trained_from', 'now']) }}
where final.trained_from <> final.now
{%- endmacro -%}
