-- grain: one row per comparison and pair: its highest and lowest slice ('groups'), the slice farthest from the whole and
--        all the rest ('rest' by difference, 'unlike' by ratio), each slice and the reference ('reference')
-- unit:  difference is `value` less `other_value`, ratio one over the other; intervals at 95 %; p_value two-sided
-- null:  ratio where a value is below 0 or the other is 0; intervals where a variance is not known, and of a ratio of 0;
--        p_value of a pair with the rest
-- The test is the pooled one of two proportions, else Welch's, whose t is made normal as Wallace (1959) does. The lowest and
-- the highest of k slices are the worst of k (k - 1) / 2 pairs, and the best is one of k - 1 others: p is taken that many
-- times (Bonferroni). The interval of a difference is Newcombe's (1998), else normal; of a ratio that of its logarithm by the
-- delta method (Katz, 1978), where slope is the derivative of the logarithm. A slice is a part of the whole, its distance
-- from the whole that from the rest, which is independent of it, times the rest's share. p_adjusted is Holm's.
{% set comparison = ['unit', 'slice_key', 'control_key', 'control_value', 'metric', 'n_groups', 'whole_denominator', 'is_proportion', 'lowest_slice', 'highest_slice'] %}
{% set side = ['value', 'ci_lower', 'ci_upper', 'variance', 'n_effective'] %}
{{ create_scratch('wml_tested') }}
with pairs as (
    {% for kind in ['groups', 'reference'] %}
    select
        {% for column in comparison %}
        one.{{ column }},
        {% endfor %}
        {{ kind | literal }} as kind,
        one.slice_value,
        other.slice_value as other_slice,
        {% for column in side %}
        one.{{ column }},
        other.{{ column }} as other_{{ column }},
        {% endfor %}
        case when one.value >= 0 then {{ safe_divide('one.value', 'other.value') if kind == 'reference' else safe_divide('other.value', 'one.value') }} end as ratio,
        1e0 / nullif(one.value, 0e0) as slope,
        1e0 / nullif(other.value, 0e0) as other_slope,
        1e0 as share,
        null as overall_difference,
        {% if kind == 'groups' %}
        one.n_groups * (one.n_groups - 1) / 2e0 as n_chances
        {% else %}
        case when one.reference = 'best' then one.n_groups - 1 else 1 end as n_chances
        {% endif %}
    from wml_compared as one
    inner join wml_compared as other
        on one.comparison = other.comparison
    {% if kind == 'groups' %}
        and one.slice_value = one.highest_slice
        and other.slice_value = one.lowest_slice
    where one.n_groups >= 2
    {% else %}
        and other.slice_value = one.reference_slice
    {% endif %}
    union all
    {% endfor %}
    {% for kind, place in {'rest': 'farthest_slice', 'unlike': 'most_unlike_slice'}.items() %}
    select
        {% for column in comparison %}
        one.{{ column }},
        {% endfor %}
        {{ kind | literal }} as kind,
        one.slice_value,
        null as other_slice,
        {% for column in side %}
        one.{{ column }},
        one.rest_{{ column }},
        {% endfor %}
        one.overall_ratio as ratio,
        1e0 / nullif(one.value, 0e0) - one.share / nullif(one.whole_value, 0e0) as slope,
        (1e0 - one.share) / nullif(one.whole_value, 0e0) as other_slope,
        1e0 - one.share as share,
        one.value - one.whole_value as overall_difference,
        null as n_chances
    from wml_compared as one
    where one.slice_value = one.{{ place }}
        and one.n_groups >= 2
    {% if not loop.last %}
    union all
    {% endif %}
    {% endfor %}
),

spread as (
    select
        {% for column in comparison + ['kind', 'slice_value', 'other_slice', 'value', 'other_value', 'ratio', 'share', 'overall_difference', 'n_chances', 'n_effective', 'other_n_effective'] %}
        pairs.{{ column }},
        {% endfor %}
        abs(pairs.value - pairs.other_value) as distance,
        pairs.variance + pairs.other_variance as variance,
        {{ safe_divide('pairs.value * pairs.n_effective + pairs.other_value * pairs.other_n_effective', 'pairs.n_effective + pairs.other_n_effective') }} as pooled,
        pairs.variance * pairs.variance / nullif(pairs.n_effective - 1e0, 0e0)
            + pairs.other_variance * pairs.other_variance / nullif(pairs.other_n_effective - 1e0, 0e0) as variance_spread,
        case
            when pairs.is_proportion
                then sqrt(power(pairs.value - pairs.ci_lower, 2) + power(pairs.other_ci_upper - pairs.other_value, 2))
            else 1.959963984540054e0 * sqrt(pairs.variance + pairs.other_variance)
        end as below,
        case
            when pairs.is_proportion
                then sqrt(power(pairs.ci_upper - pairs.value, 2) + power(pairs.other_value - pairs.other_ci_lower, 2))
            else 1.959963984540054e0 * sqrt(pairs.variance + pairs.other_variance)
        end as above,
        case
            when pairs.ratio > 0 and (pairs.other_slice is null or pairs.slice_value <> pairs.other_slice)
                then exp(1.959963984540054e0 * sqrt(
                    pairs.variance * pairs.slope * pairs.slope + pairs.other_variance * pairs.other_slope * pairs.other_slope
                ))
        end as ratio_factor
    from pairs
),

scored as (
    select
        spread.*,
        case
            when spread.n_chances is null or spread.slice_value = spread.other_slice then null
            when spread.distance = 0 and spread.variance is not null then 0e0
            when spread.is_proportion
                then spread.distance / sqrt(nullif(
                    spread.pooled * (1e0 - spread.pooled) * (1e0 / spread.n_effective + 1e0 / spread.other_n_effective), 0e0
                ))
            when spread.variance > 0 and spread.variance_spread > 0
                then (8e0 * spread.variance * spread.variance / spread.variance_spread + 1e0)
                    / (8e0 * spread.variance * spread.variance / spread.variance_spread + 3e0)
                    * sqrt(
                        spread.variance * spread.variance / spread.variance_spread
                        * ln(1e0 + spread.distance * spread.distance * spread.variance_spread / power(spread.variance, 3))
                    )
        end as z
    from spread
),

counted as (
    select
        scored.*,
        2e0 * {{ normal_upper_tail('scored.z') }} * scored.n_chances as p_value,
        count(scored.z) over (partition by scored.unit, case when scored.kind = 'reference' then 1 else 0 end) as n_tests
    from scored
),

placed as (
    select
        counted.*,
        row_number() over (
            partition by counted.unit, case when counted.kind = 'reference' then 1 else 0 end
            order by
                case when counted.p_value is null then 1 else 0 end,
                counted.p_value,
                counted.slice_key,
                counted.metric,
                counted.control_key,
                counted.control_value,
                counted.slice_value
        ) as position
    from counted
)

select
    {% for column in comparison + ['kind', 'slice_value', 'other_slice', 'value', 'other_value', 'ratio', 'overall_difference', 'n_tests'] %}
    placed.{{ column }},
    {% endfor %}
    placed.value - placed.other_value as difference,
    -- The distance from the whole is positive, on whichever side the slice is.
    case when placed.overall_difference < 0 then placed.share * (placed.distance - placed.above) else placed.share * (placed.distance - placed.below) end as ci_lower,
    case when placed.overall_difference < 0 then placed.share * (placed.distance + placed.below) else placed.share * (placed.distance + placed.above) end as ci_upper,
    case when placed.ratio_factor < 1e300 then placed.ratio / placed.ratio_factor end as ratio_ci_lower,
    case when placed.ratio_factor < 1e300 then placed.ratio * placed.ratio_factor end as ratio_ci_upper,
    case when placed.p_value > 1 then 1e0 else placed.p_value end as p_value,
    case
        when placed.p_value is not null
            then least(
                1e0,
                max((placed.n_tests - placed.position + 1) * least(1e0, placed.p_value)) over (
                    partition by placed.unit, case when placed.kind = 'reference' then 1 else 0 end
                    order by placed.position
                    rows between unbounded preceding and current row
                )
            )
    end as p_adjusted
from placed
