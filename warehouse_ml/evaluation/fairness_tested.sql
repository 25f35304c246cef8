-- grain: one row per unit, slice_key, metric and aggregate, and of each control_key and control_value
-- unit:  intervals at 95 %; p_value two-sided
-- null:  value where a ratio's denominator is 0 or a value is below 0; interval where a variance is not known, and of a
--        ratio of 0; p_value of all but a difference; control_* without a control
-- As Fairlearn: difference is max - min and ratio min / max between the slices; to_overall is the largest distance from
-- the overall value, and the smallest ratio. Slices that are not shown take no part; fewer than two leave no row.
-- The lowest and the highest of k slices are the worst of k (k - 1) / 2 pairs, so the pair's p is taken that many times
-- (Bonferroni). The pair's test is the pooled one of two proportions, else Welch's, whose t is made normal as Wallace
-- (1959) does. The interval of a difference is Newcombe's (1998), else normal; of a ratio that of its logarithm by the
-- delta method (Katz, 1978). A slice is a part of the whole: its distance from the whole is its distance from the rest,
-- which is independent of it, times the rest's share.
{% set is_proportion %}
extremes.metric in ({% for name in proportions %}{{ name | literal }}{% if not loop.last %}, {% endif %}{% endfor %})
{%- endset %}
{% set group = ['unit', 'slice_key', 'control_key', 'control_value', 'metric'] %}
{% set sides = {
    'lowest': ('position_up', ['slice_value', 'value', 'ci_lower', 'ci_upper', 'variance', 'n_effective']),
    'highest': ('position_down', ['slice_value', 'value', 'ci_lower', 'ci_upper', 'variance', 'n_effective']),
    'apart': ('position_apart', ['slice_value', 'value', 'ci_lower', 'ci_upper', 'variance', 'share', 'rest_value', 'rest_variance', 'rest_n_effective']),
    'unlike': ('position_unlike', ['slice_value', 'value', 'variance', 'share', 'rest_variance', 'overall_ratio']),
} %}
{{ create_scratch('wml_fairness') }}
with rated as (
    select
        {% for column in group + ['slice_value', 'value', 'ci_lower', 'ci_upper', 'variance', 'n_effective', 'whole_value', 'whole_denominator', 'share', 'rest_value', 'rest_variance', 'rest_n_effective'] %}
        compared.{{ column }},
        {% endfor %}
        case
            when compared.value < 0 or compared.whole_value < 0 then null
            when compared.value < compared.whole_value then {{ safe_divide('compared.value', 'compared.whole_value') }}
            else {{ safe_divide('compared.whole_value', 'compared.value') }}
        end as overall_ratio
    from wml_compared as compared
    where compared.metric in ({% for name in metrics %}{{ name | literal }}{% if not loop.last %}, {% endif %}{% endfor %})
),

ordered as (
    select
        {% for column in group + ['slice_value', 'value', 'ci_lower', 'ci_upper', 'variance', 'n_effective', 'whole_value', 'whole_denominator', 'share', 'rest_value', 'rest_variance', 'rest_n_effective', 'overall_ratio'] %}
        rated.{{ column }},
        {% endfor %}
        {% for position, order in {
            'position_up': 'rated.value, rated.slice_value',
            'position_down': 'rated.value desc, rated.slice_value desc',
            'position_apart': 'abs(rated.value - rated.whole_value) desc, rated.slice_value',
            'position_unlike': 'coalesce(rated.overall_ratio, 2e0), rated.slice_value',
        }.items() %}
        row_number() over (
            partition by {% for column in group %}rated.{{ column }}{% if not loop.last %}, {% endif %}{% endfor %}

            order by {{ order }}
        ) as {{ position }}{% if not loop.last %},{% endif %}

        {% endfor %}
    from rated
),

extremes as (
    select
        {% for column in group %}
        ordered.{{ column }},
        {% endfor %}
        {% for side, (position, columns) in sides.items() %}
        {% for column in columns %}
        max(case when ordered.{{ position }} = 1 then ordered.{{ column }} end) as {{ side }}_{{ column }},
        {% endfor %}
        {% endfor %}
        max(ordered.whole_value) as whole_value,
        max(ordered.whole_denominator) as whole_denominator,
        count(*) as n_groups
    from ordered
    group by
        {% for column in group %}
        ordered.{{ column }}{% if not loop.last %},{% endif %}

        {% endfor %}
    having count(*) >= 2
),

spread as (
    select
        extremes.*,
        {{ is_proportion }} as is_proportion,
        {{ safe_divide(
            'extremes.lowest_value * extremes.lowest_n_effective + extremes.highest_value * extremes.highest_n_effective',
            'extremes.lowest_n_effective + extremes.highest_n_effective'
        ) }} as pooled,
        1e0 / nullif(extremes.lowest_n_effective, 0e0) + 1e0 / nullif(extremes.highest_n_effective, 0e0) as per_row,
        extremes.lowest_variance + extremes.highest_variance as variance,
        (extremes.lowest_variance + extremes.highest_variance) * (extremes.lowest_variance + extremes.highest_variance) / nullif(
            extremes.lowest_variance * extremes.lowest_variance / nullif(extremes.lowest_n_effective - 1e0, 0e0)
                + extremes.highest_variance * extremes.highest_variance / nullif(extremes.highest_n_effective - 1e0, 0e0),
            0e0
        ) as freedom,
        {{ wilson_lower('extremes.apart_rest_value', 'extremes.apart_rest_n_effective') }} as rest_ci_lower,
        {{ wilson_upper('extremes.apart_rest_value', 'extremes.apart_rest_n_effective') }} as rest_ci_upper,
        case when extremes.apart_value < extremes.whole_value then -1e0 else 1e0 end as direction,
        case
            when extremes.lowest_value > 0
                then 1.959963984540054e0 * sqrt(
                    extremes.lowest_variance / (extremes.lowest_value * extremes.lowest_value)
                    + extremes.highest_variance / (extremes.highest_value * extremes.highest_value)
                )
        end as ratio_width,
        -- The whole is share * value + (1 - share) * rest; the derivatives of its logarithm less that of the value.
        case
            when extremes.unlike_value > 0 and extremes.whole_value > 0
                then 1.959963984540054e0 * sqrt(
                    extremes.unlike_variance * power(1e0 / extremes.unlike_value - extremes.unlike_share / extremes.whole_value, 2)
                    + extremes.unlike_rest_variance * power((1e0 - extremes.unlike_share) / extremes.whole_value, 2)
                )
        end as overall_ratio_width
    from extremes
),

widened as (
    select
        spread.*,
        case
            when spread.highest_value = spread.lowest_value and spread.variance is not null then 0e0
            when spread.is_proportion
                then (spread.highest_value - spread.lowest_value) / sqrt(nullif(spread.pooled * (1e0 - spread.pooled) * spread.per_row, 0e0))
            when spread.freedom > 0
                then (8e0 * spread.freedom + 1e0) / (8e0 * spread.freedom + 3e0) * sqrt(
                    spread.freedom * ln(
                        1e0 + (spread.highest_value - spread.lowest_value) * (spread.highest_value - spread.lowest_value)
                            / nullif(spread.variance, 0e0) / spread.freedom
                    )
                )
        end as z,
        case
            when spread.is_proportion
                then sqrt(power(spread.highest_value - spread.highest_ci_lower, 2) + power(spread.lowest_ci_upper - spread.lowest_value, 2))
            else 1.959963984540054e0 * sqrt(spread.variance)
        end as below,
        case
            when spread.is_proportion
                then sqrt(power(spread.highest_ci_upper - spread.highest_value, 2) + power(spread.lowest_value - spread.lowest_ci_lower, 2))
            else 1.959963984540054e0 * sqrt(spread.variance)
        end as above,
        -- Of the slice less the rest, and of the rest less the slice where the slice is the lower of the two.
        (1e0 - spread.apart_share) * case
            when not spread.is_proportion then 1.959963984540054e0 * sqrt(spread.apart_variance + spread.apart_rest_variance)
            when spread.direction > 0
                then sqrt(power(spread.apart_value - spread.apart_ci_lower, 2) + power(spread.rest_ci_upper - spread.apart_rest_value, 2))
            else sqrt(power(spread.apart_ci_upper - spread.apart_value, 2) + power(spread.apart_rest_value - spread.rest_ci_lower, 2))
        end as overall_below,
        (1e0 - spread.apart_share) * case
            when not spread.is_proportion then 1.959963984540054e0 * sqrt(spread.apart_variance + spread.apart_rest_variance)
            when spread.direction > 0
                then sqrt(power(spread.apart_ci_upper - spread.apart_value, 2) + power(spread.apart_rest_value - spread.rest_ci_lower, 2))
            else sqrt(power(spread.apart_value - spread.apart_ci_lower, 2) + power(spread.rest_ci_upper - spread.apart_rest_value, 2))
        end as overall_above,
        case when spread.lowest_value >= 0 then {{ safe_divide('spread.lowest_value', 'spread.highest_value') }} end as ratio,
        abs(spread.apart_value - spread.whole_value) as overall_difference
    from spread
),

judged as (
    select
        {% for column in group %}
        widened.{{ column }},
        {% endfor %}
        aggregate_names.aggregate,
        case aggregate_names.aggregate
            when 'difference' then widened.highest_value - widened.lowest_value
            when 'ratio' then widened.ratio
            when 'difference_to_overall' then widened.overall_difference
            when 'ratio_to_overall' then widened.unlike_overall_ratio
        end as value,
        case aggregate_names.aggregate
            when 'difference' then widened.highest_value - widened.lowest_value - widened.below
            when 'ratio' then widened.ratio * exp(-widened.ratio_width)
            when 'difference_to_overall' then widened.overall_difference - widened.overall_below
            when 'ratio_to_overall' then widened.unlike_overall_ratio * exp(-widened.overall_ratio_width)
        end as ci_lower,
        case aggregate_names.aggregate
            when 'difference' then widened.highest_value - widened.lowest_value + widened.above
            when 'ratio' then widened.ratio * exp(widened.ratio_width)
            when 'difference_to_overall' then widened.overall_difference + widened.overall_above
            when 'ratio_to_overall' then widened.unlike_overall_ratio * exp(widened.overall_ratio_width)
        end as ci_upper,
        case aggregate_names.aggregate
            when 'difference' then case when widened.is_proportion then 'newcombe' else 'normal' end
            when 'ratio' then 'log_delta'
            when 'difference_to_overall' then case when widened.is_proportion then 'newcombe_rest' else 'normal_rest' end
            when 'ratio_to_overall' then 'log_delta_rest'
        end as ci_method,
        widened.lowest_slice_value as lowest_slice,
        widened.highest_slice_value as highest_slice,
        case aggregate_names.aggregate
            when 'difference_to_overall' then widened.apart_slice_value
            when 'ratio_to_overall' then widened.unlike_slice_value
        end as farthest_slice,
        case when aggregate_names.aggregate = 'difference' then 2e0 * {{ normal_upper_tail('widened.z') }} end
            * widened.n_groups * (widened.n_groups - 1) / 2e0 as raw_p_value,
        widened.n_groups,
        widened.whole_denominator
    from widened
    cross join {{ names_table('aggregate', ['difference', 'ratio', 'difference_to_overall', 'ratio_to_overall']) }} as aggregate_names
    where widened.metric <> 'mean_error'
        or aggregate_names.aggregate in ('difference', 'difference_to_overall')
),

counted as (
    select
        judged.*,
        case when judged.raw_p_value > 1 then 1e0 else judged.raw_p_value end as p_value,
        count(judged.raw_p_value) over (partition by judged.unit) as n_tests,
        row_number() over (
            partition by judged.unit
            order by
                case when judged.raw_p_value is null then 1 else 0 end,
                judged.raw_p_value,
                judged.slice_key,
                judged.metric,
                judged.control_key,
                judged.control_value
        ) as position
    from judged
)

select
    {% for column in group %}
    counted.{{ column }},
    {% endfor %}
    counted.aggregate,
    counted.value,
    counted.ci_lower,
    counted.ci_upper,
    case when counted.ci_lower is not null then counted.ci_method end as ci_method,
    counted.lowest_slice,
    counted.highest_slice,
    counted.farthest_slice,
    counted.p_value,
    -- Holm's.
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
    counted.n_groups,
    counted.n_tests,
    counted.whole_denominator
from counted
