-- grain: one row per evaluation_id, slice_key, slice_value and metric
-- unit:  disparity and ratio_to_highest are ratios of values, difference is in the metric's unit; n counts answered rows
-- null:  all but n where the value is hidden; disparity where the reference is 0 or a value below it; interval and p_value
--        of the reference itself; `reason` says why a value is null
-- As Aequitas: the disparity is the value over that of the reference group. The interval is that of the ratio's logarithm
-- by the delta method; the test is the pooled one of two proportions, else Welch's, whose t is made normal as Wallace
-- (1959) does. The best group is the best of k - 1 others, so p is taken k - 1 times there (Bonferroni). p_adjusted is
-- Holm's, over all disparities of the evaluation_id.
{% set is_lower_better %}
listed.metric in ({% for name in lower_is_better %}{{ name | literal }}{% if not loop.last %}, {% endif %}{% endfor %})
{%- endset %}
{% set group = ['unit', 'slice_key', 'slice_value', 'metric', 'value', 'variance', 'n_effective', 'n', 'is_suppressed', 'reason'] %}
insert into {{ 'disparities' | wml }} (
    evaluation_id,
    evaluation,
    model,
    version,
    window_start,
    window_end,
    as_of,
    slice_key,
    slice_value,
    metric,
    value,
    n,
    reference,
    reference_slice,
    reference_value,
    disparity,
    ci_lower,
    ci_upper,
    ci_method,
    difference,
    p_value,
    p_adjusted,
    n_tests,
    highest_slice,
    ratio_to_highest,
    is_suppressed,
    reason
)
with listed as (
    select
        {% for column in group %}
        shown.{{ column }},
        {% endfor %}
        case shown.slice_key
            {% for key, reference in references.items() %}
            when {{ key | literal }} then {{ reference | literal }}
            {% endfor %}
        end as reference
    from wml_metric as shown
    where shown.slice_set between 1 and {{ n_slices }}
        and shown.metric in ({% for name in metrics %}{{ name | literal }}{% if not loop.last %}, {% endif %}{% endfor %})
),

ranked as (
    select
        listed.*,
        row_number() over (
            partition by listed.unit, listed.slice_key, listed.metric
            order by
                -- A given group is the reference even where it is not shown; others are chosen among those shown.
                case
                    when listed.slice_value = listed.reference then 0
                    when listed.value is not null and listed.reference in ('majority', 'best') then 1
                    else 2
                end,
                case when listed.reference = 'majority' then -listed.n end,
                case
                    when listed.reference <> 'best' then null
                    when listed.metric = 'mean_error' then abs(listed.value)
                    when {{ is_lower_better }} then listed.value
                    else -listed.value
                end,
                listed.slice_value
        ) as reference_position,
        row_number() over (
            partition by listed.unit, listed.slice_key, listed.metric
            order by case when listed.value is null then 1 else 0 end, listed.value desc, listed.slice_value
        ) as highest_position,
        count(listed.value) over (partition by listed.unit, listed.slice_key, listed.metric) as n_groups
    from listed
),

ends as (
    select
        ranked.unit,
        ranked.slice_key,
        ranked.metric,
        {% for column in ['slice_value', 'value', 'variance', 'n_effective'] %}
        max(case
            when ranked.reference_position = 1 and (ranked.value is not null or ranked.slice_value = ranked.reference)
                and (ranked.reference in ('majority', 'best') or ranked.slice_value = ranked.reference)
                then ranked.{{ column }}
        end) as reference_{{ column }},
        {% endfor %}
        max(case when ranked.highest_position = 1 and ranked.value is not null then ranked.slice_value end) as highest_slice,
        max(ranked.value) as highest_value
    from ranked
    group by
        ranked.unit,
        ranked.slice_key,
        ranked.metric
),

compared as (
    select
        {% for column in group + ['reference', 'n_groups'] %}
        ranked.{{ column }},
        {% endfor %}
        {% for column in ['slice_value', 'value', 'variance', 'n_effective'] %}
        ends.reference_{{ column }},
        {% endfor %}
        ends.highest_slice,
        case when ranked.value >= 0 then {{ safe_divide('ranked.value', 'ends.highest_value') }} end as ratio_to_highest,
        case when ranked.value >= 0 and ends.reference_value > 0 then ranked.value / ends.reference_value end as disparity,
        ranked.value - ends.reference_value as difference,
        ranked.slice_value <> ends.reference_slice_value as is_other,
        ranked.variance + ends.reference_variance as both_variance,
        {{ safe_divide('ranked.value * ranked.n_effective + ends.reference_value * ends.reference_n_effective', 'ranked.n_effective + ends.reference_n_effective') }} as pooled,
        1e0 / nullif(ranked.n_effective, 0e0) + 1e0 / nullif(ends.reference_n_effective, 0e0) as per_row,
        power(ranked.variance + ends.reference_variance, 2) / nullif(
            ranked.variance * ranked.variance / nullif(ranked.n_effective - 1e0, 0e0)
                + ends.reference_variance * ends.reference_variance / nullif(ends.reference_n_effective - 1e0, 0e0),
            0e0
        ) as freedom
    from ranked
    inner join ends
        on ranked.unit = ends.unit
        and ranked.slice_key = ends.slice_key
        and ranked.metric = ends.metric
),

widened as (
    select
        compared.*,
        case
            when compared.is_other and compared.disparity > 0
                then 1.959963984540054e0 * sqrt(
                    compared.variance / (compared.value * compared.value)
                    + compared.reference_variance / (compared.reference_value * compared.reference_value)
                )
        end as width,
        case
            when not compared.is_other then null
            when compared.difference = 0 and compared.both_variance is not null then 0e0
            when compared.metric in ({% for name in proportions %}{{ name | literal }}{% if not loop.last %}, {% endif %}{% endfor %})
                then abs(compared.difference) / sqrt(nullif(compared.pooled * (1e0 - compared.pooled) * compared.per_row, 0e0))
            when compared.freedom > 0
                then (8e0 * compared.freedom + 1e0) / (8e0 * compared.freedom + 3e0) * sqrt(
                    compared.freedom
                    * ln(1e0 + compared.difference * compared.difference / nullif(compared.both_variance, 0e0) / compared.freedom)
                )
        end as z
    from compared
),

tested as (
    select
        widened.*,
        2e0 * {{ normal_upper_tail('widened.z') }} * case
            when widened.reference = 'best' and widened.n_groups > 2 then widened.n_groups - 1
            else 1
        end as raw_p_value
    from widened
),

counted as (
    select
        tested.*,
        case when tested.raw_p_value > 1 then 1e0 else tested.raw_p_value end as p_value,
        count(tested.raw_p_value) over (partition by tested.unit) as n_tests,
        row_number() over (
            partition by tested.unit
            order by case when tested.raw_p_value is null then 1 else 0 end, tested.raw_p_value, tested.slice_key, tested.metric, tested.slice_value
        ) as position
    from tested
)

select
    due.evaluation_id,
    {{ param('evaluation') }} as evaluation,
    {{ param('model') }} as model,
    due.version,
    due.window_start,
    due.window_end,
    {{ param('as_of') }} as as_of,
    counted.slice_key,
    counted.slice_value,
    counted.metric,
    counted.value,
    counted.n,
    counted.reference,
    counted.reference_slice_value as reference_slice,
    counted.reference_value,
    counted.disparity,
    counted.disparity * exp(-counted.width) as ci_lower,
    counted.disparity * exp(counted.width) as ci_upper,
    case when counted.width is not null then 'log_delta' end as ci_method,
    counted.difference,
    counted.p_value,
    case
        when counted.p_value is not null
            then least(
                1e0,
                max((counted.n_tests - counted.position + 1) * counted.p_value) over (
                    partition by counted.unit
                    order by counted.position
                    rows between unbounded preceding and current row
                )
            )
    end as p_adjusted,
    counted.n_tests,
    counted.highest_slice,
    counted.ratio_to_highest,
    counted.is_suppressed,
    case
        when counted.value is null then counted.reason
        when counted.reference_slice_value is null then 'the reference group has no rows'
        when counted.reference_value is null then 'the reference group has no value that is shown'
        when counted.disparity is null and counted.reference_value = 0 then 'the reference is 0'
        when counted.disparity is null then 'a value below 0 has no ratio'
    end as reason
from counted
inner join wml_due as due
    on counted.unit = due.unit
