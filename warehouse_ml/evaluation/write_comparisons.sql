-- grain: one row per comparison_id, slice_key, slice_value, metric
-- unit:  difference is value less other_value, in the metric's own unit; intervals at 95 %, p_value two-sided
-- null:  value where the denominator is 0 or, but for the overall row, below min_slice_size; reason says so
-- Shares without weights: Newcombe's interval for paired proportions (1998, method 10) and McNemar's test, exact up to 25
-- requests that only one version got. All else: the normal interval and test of the mean paired difference.
-- p_adjusted is Holm's, over the tests of the overall row, and over those of all slices: the first are the question that was
-- asked, the others a search.
{% set bounded = ['accuracy', 'selection_rate', 'recall', 'false_positive_rate', 'precision', 'roc_auc'] %}
insert into {{ 'comparisons' | wml }} (
    comparison_id,
    evaluation,
    model,
    version,
    other_version,
    window_start,
    window_end,
    as_of,
    slice_key,
    slice_value,
    metric,
    n_pairs,
    value,
    other_value,
    difference,
    ci_lower,
    ci_upper,
    p_value,
    p_adjusted,
    n_flips,
    n_gained,
    n_lost,
    ci_method,
    test,
    is_suppressed,
    reason
)
-- What wml.metrics hides of either version, their comparison does not tell.
with hidden as (
    select distinct
        pairs.pair,
        metrics.slice_set,
        metrics.slice_value,
        metrics.metric
    from wml_pairs as pairs
    inner join wml_due as due
        on {{ same('pairs.window_start', 'due.window_start') }}
        and (pairs.version = due.version or pairs.other_version = due.version)
    inner join wml_metric as metrics
        on due.unit = metrics.unit
    where metrics.is_suppressed
),

shown as (
    select
        compared.pair,
        compared.slice_set,
        compared.slice_value,
        compared.metric,
        compared.n_pairs,
        compared.n_own,
        compared.n_flips,
        compared.n_gained,
        compared.n_lost,
        compared.n_both,
        compared.n_only,
        compared.n_other_only,
        compared.n_neither,
        {{ finite('compared.value') }} as value,
        {{ finite('compared.other_value') }} as other_value,
        compared.value - compared.other_value as difference,
        case when compared.variance > 0 then compared.variance when compared.variance is not null then 0e0 end as variance,
        compared.slice_set > 0 and (compared.n_own < {{ param('min_slice_size') }} or hidden.metric is not null) as is_suppressed,
        compared.n_both is not null as is_share,
        coalesce(compared.n_only + compared.n_other_only, 0e0) as n_discordant,
        least(compared.n_only, compared.n_other_only) as n_fewer,
        compared.n_both * compared.n_neither - compared.n_only * compared.n_other_only as cross_product
    from wml_paired_compared as compared
    left join hidden
        on compared.pair = hidden.pair
        and compared.slice_set = hidden.slice_set
        and compared.slice_value = hidden.slice_value
        and compared.metric = hidden.metric
),

scored as (
    select
        shown.pair,
        shown.slice_set,
        shown.slice_value,
        shown.metric,
        shown.n_pairs,
        shown.n_own,
        shown.is_suppressed,
        shown.n_flips,
        shown.n_gained,
        shown.n_lost,
        shown.value,
        shown.other_value,
        shown.difference,
        not shown.is_suppressed and shown.value is not null and shown.other_value is not null as is_shown,
        shown.is_share,
        shown.n_discordant,
        shown.n_fewer,
        1.959963984540054e0 * sqrt(shown.variance) as half_width,
        {% for name, column in {'': 'value', 'other_': 'other_value'}.items() %}
        case when shown.is_share and shown.n_pairs > 0 then shown.{{ column }} - ({{ wilson_lower('shown.' ~ column, 'shown.n_pairs') }}) end as {{ name }}below,
        case when shown.is_share and shown.n_pairs > 0 then ({{ wilson_upper('shown.' ~ column, 'shown.n_pairs') }}) - shown.{{ column }} end as {{ name }}above,
        {% endfor %}
        -- The correlation of the two answers, corrected for continuity where it is positive.
        coalesce(
            {{ safe_divide(
                'case when shown.cross_product > shown.n_pairs / 2e0 then shown.cross_product - shown.n_pairs / 2e0'
                ~ ' when shown.cross_product >= 0 then 0e0 else shown.cross_product end',
                'sqrt((shown.n_both + shown.n_only) * (shown.n_other_only + shown.n_neither))'
                ~ ' * sqrt((shown.n_both + shown.n_other_only) * (shown.n_only + shown.n_neither))'
            ) }},
            0e0
        ) as correlation,
        case
            when shown.is_share then abs(shown.n_only - shown.n_other_only) / sqrt(nullif(shown.n_discordant, 0e0))
            when shown.variance > 0 then abs(shown.difference) / sqrt(shown.variance)
            when shown.variance = 0 and shown.difference = 0 then 0e0
        end as z
    from shown
),

-- How many of the 2^n ways to toss n coins show at most k heads: two digits of n, two of k, and the number.
{% set tails = namespace(told=[]) %}
{% for n in range(1, 26) %}
{% set ways = namespace(one=1, sum=0) %}
{% for k in range(0, n // 2 + 1) %}
{% set ways.sum = ways.sum + ways.one %}
{% set ways.one = ways.one * (n - k) // (k + 1) %}
{% set tails.told = tails.told + ['%02d%02d%d' | format(n, k, ways.sum)] %}
{% endfor %}
{% endfor %}
tails as (
    select
        {{ as_double('substr(tail_rows.told, 1, 2)') }} as n_discordant,
        {{ as_double('substr(tail_rows.told, 3, 2)') }} as n_fewer,
        {{ as_double('substr(tail_rows.told, 5)') }} as n_ways
    from {{ names_table('told', tails.told) }} as tail_rows
),

tested as (
    select
        scored.pair,
        scored.slice_set,
        scored.slice_value,
        scored.metric,
        scored.n_pairs,
        scored.n_own,
        scored.is_suppressed,
        scored.n_flips,
        scored.n_gained,
        scored.n_lost,
        scored.is_shown,
        case when scored.is_shown then scored.value end as value,
        case when scored.is_shown then scored.other_value end as other_value,
        case when scored.is_shown then scored.difference end as difference,
        case
            when not scored.is_shown then null
            when scored.is_share then scored.difference - sqrt(
                greatest(
                    0e0,
                    scored.below * scored.below + scored.other_above * scored.other_above
                    - 2e0 * scored.correlation * scored.below * scored.other_above
                )
            )
            else scored.difference - scored.half_width
        end as ci_lower,
        case
            when not scored.is_shown then null
            when scored.is_share then scored.difference + sqrt(
                greatest(
                    0e0,
                    scored.above * scored.above + scored.other_below * scored.other_below
                    - 2e0 * scored.correlation * scored.above * scored.other_below
                )
            )
            else scored.difference + scored.half_width
        end as ci_upper,
        case
            when not scored.is_shown then null
            when scored.is_share and scored.n_discordant = 0 then 1e0
            when tails.n_ways is not null then least(1e0, 2e0 * tails.n_ways / power(2e0, tails.n_discordant))
            else 2e0 * {{ normal_upper_tail('scored.z') }}
        end as p_value,
        case
            when scored.is_share then 'newcombe_paired'
            when scored.metric = 'roc_auc' then 'delong'
            else 'normal'
        end as ci_method,
        case
            when not scored.is_share and scored.metric = 'roc_auc' then 'delong'
            when not scored.is_share then 'paired_z'
            when scored.n_discordant <= 25 then 'mcnemar_exact'
            else 'mcnemar'
        end as test
    from scored
    left join tails
        on scored.is_share
        and scored.n_discordant = tails.n_discordant
        and scored.n_fewer = tails.n_fewer
),

counted as (
    select
        tested.pair,
        tested.slice_set,
        tested.slice_value,
        tested.metric,
        tested.n_pairs,
        tested.n_own,
        tested.is_suppressed,
        tested.n_flips,
        tested.n_gained,
        tested.n_lost,
        tested.is_shown,
        tested.value,
        tested.other_value,
        tested.difference,
        tested.ci_lower,
        tested.ci_upper,
        tested.p_value,
        tested.ci_method,
        tested.test,
        case when tested.slice_set = 0 then 0 else 1 end as family,
        count(tested.p_value) over (partition by tested.pair, case when tested.slice_set = 0 then 0 else 1 end) as n_tests,
        row_number() over (
            partition by tested.pair, case when tested.slice_set = 0 then 0 else 1 end
            order by case when tested.p_value is null then 1 else 0 end, tested.p_value, tested.slice_set, tested.slice_value, tested.metric
        ) as position
    from tested
)

select
    pairs.comparison_id,
    {{ param('evaluation') }} as evaluation,
    {{ param('model') }} as model,
    pairs.version,
    pairs.other_version,
    pairs.window_start,
    pairs.window_end,
    {{ param('as_of') }} as as_of,
    case counted.slice_set
        {% for slice in slices %}
        when {{ loop.index0 }} then {{ slice.key | literal }}
        {% endfor %}
    end as slice_key,
    counted.slice_value,
    counted.metric,
    {{ as_int('counted.n_pairs') }} as n_pairs,
    counted.value,
    counted.other_value,
    counted.difference,
    {% for side, limit in {'lower': 'greatest(-1e0, ', 'upper': 'least(1e0, '}.items() %}
    case
        when counted.metric in ({% for name in bounded %}{{ name | literal }}{% if not loop.last %}, {% endif %}{% endfor %})
            and counted.ci_{{ side }} is not null
            then {{ limit }}counted.ci_{{ side }})
        else counted.ci_{{ side }}
    end as ci_{{ side }},
    {% endfor %}
    counted.p_value,
    case
        when counted.p_value is null then null
        else least(
            1e0,
            max((counted.n_tests - counted.position + 1) * counted.p_value) over (
                partition by counted.pair, counted.family
                order by counted.position
                rows between unbounded preceding and current row
            )
        )
    end as p_adjusted,
    case when not counted.is_suppressed then {{ as_int('counted.n_flips') }} end as n_flips,
    case when not counted.is_suppressed then {{ as_int('counted.n_gained') }} end as n_gained,
    case when not counted.is_suppressed then {{ as_int('counted.n_lost') }} end as n_lost,
    case when counted.is_shown then counted.ci_method end as ci_method,
    case when counted.p_value is not null then counted.test end as test,
    counted.is_suppressed,
    case
        when counted.is_suppressed then 'hidden in wml.metrics, or denominator < min_slice_size ' || {{ as_string(param('min_slice_size')) }}
        when not counted.is_shown and counted.metric = 'roc_auc' then 'labels of one class only'
        when not counted.is_shown then 'denominator is 0'
    end as reason
from counted
inner join wml_pairs as pairs
    on counted.pair = pairs.pair
