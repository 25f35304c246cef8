-- grain: one row per evaluation_id, slice_key, metric, aggregate
-- unit:  differences and ratios of rates; p_value two-sided
-- null:  value where a ratio's denominator is 0; interval and p_value of all but a difference of two proportions
-- As Fairlearn: difference is max - min and ratio min / max between the slices; to_overall is the largest distance
-- from the overall value. Slices too small to show take no part; fewer than two leave no row. The interval is
-- Newcombe's (1998), the test the pooled one of two proportions, both between the lowest and the highest slice;
-- p_adjusted is Holm's, over all tests of the evaluation_id.
{% set composites = {'demographic_parity': 'selection_rate', 'equal_opportunity': 'recall'} %}
{% set proportions = ['selection_rate', 'recall', 'false_positive_rate', 'precision', 'accuracy', 'false_negative_rate'] %}
insert into {{ 'fairness' | wml }} (
    evaluation_id,
    evaluation,
    model,
    version,
    window_start,
    window_end,
    as_of,
    slice_key,
    metric,
    aggregate,
    value,
    ci_lower,
    ci_upper,
    lowest_slice,
    highest_slice,
    p_value,
    p_adjusted
)
with candidates as (
    select
        shown.unit,
        shown.slice_key,
        shown.metric,
        shown.slice_value,
        shown.value,
        shown.ci_lower,
        shown.ci_upper,
        shown.n_effective,
        overall.value as overall_value,
        row_number() over (
            partition by shown.unit, shown.slice_key, shown.metric
            order by shown.value, shown.slice_value
        ) as position_up,
        row_number() over (
            partition by shown.unit, shown.slice_key, shown.metric
            order by shown.value desc, shown.slice_value desc
        ) as position_down
    from wml_metric as shown
    inner join wml_metric as overall
        on shown.unit = overall.unit
        and shown.metric = overall.metric
        and overall.slice_set = 0
    where shown.slice_set > 0
        and shown.value is not null
        and shown.metric in ({% for name in metrics %}{{ name | literal }}{% if not loop.last %}, {% endif %}{% endfor %})
),

extremes as (
    select
        candidates.unit,
        candidates.slice_key,
        candidates.metric,
        {% for side, position in {'lowest': 'position_up', 'highest': 'position_down'}.items() %}
        max(case when candidates.{{ position }} = 1 then candidates.slice_value end) as {{ side }}_slice,
        {% for column in ['value', 'ci_lower', 'ci_upper', 'n_effective'] %}
        max(case when candidates.{{ position }} = 1 then candidates.{{ column }} end) as {{ side }}_{{ column }},
        {% endfor %}
        {% endfor %}
        max(abs(candidates.value - candidates.overall_value)) as overall_difference,
        min(
            case
                when candidates.value < candidates.overall_value then {{ safe_divide('candidates.value', 'candidates.overall_value') }}
                else {{ safe_divide('candidates.overall_value', 'candidates.value') }}
            end
        ) as overall_ratio
    from candidates
    group by
        candidates.unit,
        candidates.slice_key,
        candidates.metric
    having count(*) >= 2
),

scaled as (
    select
        extremes.unit,
        extremes.slice_key,
        extremes.metric,
        extremes.lowest_slice,
        extremes.highest_slice,
        extremes.lowest_value,
        extremes.lowest_ci_lower,
        extremes.lowest_ci_upper,
        extremes.highest_value,
        extremes.highest_ci_lower,
        extremes.highest_ci_upper,
        extremes.overall_difference,
        extremes.overall_ratio,
        1e0 / nullif(extremes.lowest_n_effective, 0e0) + 1e0 / nullif(extremes.highest_n_effective, 0e0) as spread,
        {{ safe_divide(
            'extremes.lowest_value * extremes.lowest_n_effective + extremes.highest_value * extremes.highest_n_effective',
            'extremes.lowest_n_effective + extremes.highest_n_effective'
        ) }} as pooled
    from extremes
),

tested as (
    select
        scaled.unit,
        scaled.slice_key,
        scaled.metric,
        aggregate_names.aggregate,
        scaled.lowest_slice,
        scaled.highest_slice,
        case aggregate_names.aggregate
            when 'difference' then scaled.highest_value - scaled.lowest_value
            when 'ratio' then {{ safe_divide('scaled.lowest_value', 'scaled.highest_value') }}
            when 'difference_to_overall' then scaled.overall_difference
            when 'ratio_to_overall' then scaled.overall_ratio
        end as value,
        case when aggregate_names.aggregate = 'difference' and scaled.metric in ({% for name in proportions %}{{ name | literal }}{% if not loop.last %}, {% endif %}{% endfor %}) then
            case
                when scaled.highest_value = scaled.lowest_value then 0e0
                else (scaled.highest_value - scaled.lowest_value) / sqrt(nullif(scaled.pooled * (1e0 - scaled.pooled) * scaled.spread, 0e0))
            end
        end as z,
        scaled.highest_value - scaled.lowest_value
            - sqrt(
                power(scaled.highest_value - scaled.highest_ci_lower, 2)
                + power(scaled.lowest_ci_upper - scaled.lowest_value, 2)
            ) as newcombe_lower,
        scaled.highest_value - scaled.lowest_value
            + sqrt(
                power(scaled.highest_ci_upper - scaled.highest_value, 2)
                + power(scaled.lowest_value - scaled.lowest_ci_lower, 2)
            ) as newcombe_upper
    from scaled
    cross join {{ names_table('aggregate', ['difference', 'ratio', 'difference_to_overall', 'ratio_to_overall']) }} as aggregate_names
    where scaled.metric <> 'mean_error'
        or aggregate_names.aggregate in ('difference', 'difference_to_overall')
),

judged as (
    select
        tested.unit,
        tested.slice_key,
        tested.metric,
        tested.aggregate,
        tested.value,
        case when tested.z is not null then tested.newcombe_lower end as ci_lower,
        case when tested.z is not null then tested.newcombe_upper end as ci_upper,
        tested.lowest_slice,
        tested.highest_slice,
        2e0 * {{ normal_upper_tail('tested.z') }} as p_value
    from tested
),

counted as (
    select
        judged.unit,
        judged.slice_key,
        judged.metric,
        judged.aggregate,
        judged.value,
        judged.ci_lower,
        judged.ci_upper,
        judged.lowest_slice,
        judged.highest_slice,
        judged.p_value,
        count(judged.p_value) over (partition by judged.unit) as n_tests,
        row_number() over (
            partition by judged.unit
            order by case when judged.p_value is null then 1 else 0 end, judged.p_value, judged.slice_key, judged.metric
        ) as position
    from judged
),

adjusted as (
    select
        counted.unit,
        counted.slice_key,
        counted.metric,
        counted.aggregate,
        counted.value,
        counted.ci_lower,
        counted.ci_upper,
        counted.lowest_slice,
        counted.highest_slice,
        counted.p_value,
        case
            when counted.p_value is null then null
            else least(
                1e0,
                max((counted.n_tests - counted.position + 1) * counted.p_value) over (
                    partition by counted.unit
                    order by counted.position
                    rows between unbounded preceding and current row
                )
            )
        end as p_adjusted
    from counted
),

odds as (
    select
        recall.unit,
        recall.slice_key,
        'equalized_odds' as metric,
        recall.aggregate,
        case
            -- The larger difference, the smaller ratio: the worse of the two.
            when recall.value is null then null
            when rate.value is null then null
            when recall.aggregate in ('difference', 'difference_to_overall') then greatest(recall.value, rate.value)
            else least(recall.value, rate.value)
        end as value,
        case
            when recall.aggregate in ('difference', 'difference_to_overall') and recall.value < rate.value then rate.lowest_slice
            when recall.aggregate in ('ratio', 'ratio_to_overall') and recall.value > rate.value then rate.lowest_slice
            else recall.lowest_slice
        end as lowest_slice,
        case
            when recall.aggregate in ('difference', 'difference_to_overall') and recall.value < rate.value then rate.highest_slice
            when recall.aggregate in ('ratio', 'ratio_to_overall') and recall.value > rate.value then rate.highest_slice
            else recall.highest_slice
        end as highest_slice
    from adjusted as recall
    inner join adjusted as rate
        on recall.unit = rate.unit
        and recall.slice_key = rate.slice_key
        and recall.aggregate = rate.aggregate
        and rate.metric = 'false_positive_rate'
    where recall.metric = 'recall'
),

named as (
    select
        adjusted.unit,
        adjusted.slice_key,
        case
            when role_names.role = 'metric' then adjusted.metric
            {% for name, base in composites.items() %}
            when adjusted.metric = {{ base | literal }} then {{ name | literal }}
            {% endfor %}
        end as metric,
        adjusted.aggregate,
        adjusted.value,
        adjusted.ci_lower,
        adjusted.ci_upper,
        adjusted.lowest_slice,
        adjusted.highest_slice,
        adjusted.p_value,
        adjusted.p_adjusted
    from adjusted
    cross join {{ names_table('role', ['metric', 'criterion']) }} as role_names
),

final as (
    select
        named.unit,
        named.slice_key,
        named.metric,
        named.aggregate,
        named.value,
        named.ci_lower,
        named.ci_upper,
        named.lowest_slice,
        named.highest_slice,
        named.p_value,
        named.p_adjusted
    from named
    where named.metric is not null
    union all
    select
        odds.unit,
        odds.slice_key,
        odds.metric,
        odds.aggregate,
        odds.value,
        null as ci_lower,
        null as ci_upper,
        odds.lowest_slice,
        odds.highest_slice,
        null as p_value,
        null as p_adjusted
    from odds
)

select
    due.evaluation_id,
    {{ param('evaluation') }} as evaluation,
    {{ param('model') }} as model,
    due.version,
    due.window_start,
    due.window_end,
    {{ param('as_of') }} as as_of,
    final.slice_key,
    final.metric,
    final.aggregate,
    final.value,
    final.ci_lower,
    final.ci_upper,
    final.lowest_slice,
    final.highest_slice,
    final.p_value,
    final.p_adjusted
from final
inner join wml_due as due
    on final.unit = due.unit
