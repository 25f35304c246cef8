-- grain: one row per evaluation_id, slice_key, metric and aggregate, and of each control_key and control_value
-- unit:  as in fairness_tested.sql; n_groups are the groups compared, or the strata that are pooled
-- null:  as there; control_value, slices and interval of what is pooled over the strata of a control
-- What is pooled is the mean over the strata, each weighted by its own denominator; its p is the smallest of the
-- strata's times their number, its p_adjusted the smallest.
{% set group = ['unit', 'slice_key', 'control_key', 'control_value'] %}
{% set results = ['value', 'ci_lower', 'ci_upper', 'lowest_slice', 'highest_slice', 'p_value', 'p_adjusted', 'ci_method',
    'n_groups', 'n_tests', 'farthest_slice', 'whole_denominator'] %}
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
    p_adjusted,
    ci_method,
    n_groups,
    n_tests,
    farthest_slice,
    control_key,
    control_value
)
with results as (
    select
        {% for column in group + ['metric', 'n_groups', 'n_tests', 'whole_denominator'] %}
        tested.{{ column }},
        {% endfor %}
        aggregate_names.aggregate,
        case aggregate_names.aggregate
            when 'difference' then tested.difference
            when 'difference_to_overall' then abs(tested.overall_difference)
            else tested.ratio
        end as value,
        case when aggregate_names.aggregate in ('difference', 'difference_to_overall') then tested.ci_lower else tested.ratio_ci_lower end as ci_lower,
        case when aggregate_names.aggregate in ('difference', 'difference_to_overall') then tested.ci_upper else tested.ratio_ci_upper end as ci_upper,
        case aggregate_names.aggregate
            when 'ratio' then 'log_delta'
            when 'ratio_to_overall' then 'log_delta_rest'
            else case when tested.is_proportion then 'newcombe' else 'normal' end
                || case aggregate_names.aggregate when 'difference' then '' else '_rest' end
        end as ci_method,
        tested.lowest_slice,
        tested.highest_slice,
        case when tested.kind <> 'groups' then tested.slice_value end as farthest_slice,
        case aggregate_names.aggregate when 'difference' then tested.p_value end as p_value,
        case aggregate_names.aggregate when 'difference' then tested.p_adjusted end as p_adjusted
    from wml_tested as tested
    inner join {{ names_table('aggregate', ['difference', 'ratio', 'difference_to_overall', 'ratio_to_overall']) }} as aggregate_names
        on tested.kind = case aggregate_names.aggregate
            when 'difference_to_overall' then 'rest'
            when 'ratio_to_overall' then 'unlike'
            else 'groups'
        end
    where tested.metric <> 'mean_error'
        or aggregate_names.aggregate in ('difference', 'difference_to_overall')
),

named as (
    select
        {% for column in group + ['aggregate'] + results %}
        fairness.{{ column }},
        {% endfor %}
        case
            when role_names.role = 'metric' then fairness.metric
            {% for name, base in criteria.items() %}
            when fairness.metric = {{ base | literal }} then {{ name | literal }}
            {% endfor %}
        end as metric
    from results as fairness
    cross join {{ names_table('role', ['metric', 'criterion']) }} as role_names
),

odds as (
    select
        {% for column in group + ['aggregate'] + results %}
        fairness.{{ column }},
        {% endfor %}
        -- The larger difference, the smaller ratio: the worse of the two.
        row_number() over (
            partition by {% for column in group %}fairness.{{ column }}, {% endfor %}fairness.aggregate
            order by
                case when fairness.aggregate in ('difference', 'difference_to_overall') then -fairness.value else fairness.value end,
                fairness.metric desc
        ) as position,
        count(*) over odds_pair as n_metrics,
        count(fairness.value) over odds_pair as n_values,
        2e0 * min(fairness.p_value) over odds_pair as odds_p_value,
        min(fairness.p_adjusted) over odds_pair as odds_p_adjusted
    from results as fairness
    where fairness.metric in ('recall', 'false_positive_rate')
    window odds_pair as (partition by {% for column in group %}fairness.{{ column }}, {% endfor %}fairness.aggregate)
),

final as (
    select
        {% for column in group + ['metric', 'aggregate'] + results %}
        named.{{ column }}{% if not loop.last %},{% endif %}

        {% endfor %}
    from named
    where named.metric is not null
    union all
    select
        {% for column in group %}
        odds.{{ column }},
        {% endfor %}
        'equalized_odds' as metric,
        odds.aggregate,
        {% for column in results %}
        {% if column in ['p_value', 'p_adjusted'] %}
        odds.odds_{{ column }} as {{ column }}
        {%- elif column in ['value', 'ci_lower', 'ci_upper', 'ci_method'] %}
        case when odds.n_values = 2 then odds.{{ column }} end as {{ column }}
        {%- else %}
        odds.{{ column }}
        {%- endif %}
        {% if not loop.last %},{% endif %}

        {% endfor %}
    from odds
    where odds.n_metrics = 2
        and odds.position = 1
    {% if has_control %}
    union all
    select
        pooled.unit,
        pooled.slice_key,
        pooled.control_key,
        null as control_value,
        pooled.metric,
        pooled.aggregate,
        {{ safe_divide('sum(pooled.value * pooled.whole_denominator)', 'sum(case when pooled.value is not null then pooled.whole_denominator end)') }} as value,
        null as ci_lower,
        null as ci_upper,
        null as lowest_slice,
        null as highest_slice,
        min(pooled.p_value) * count(pooled.p_value) as p_value,
        min(pooled.p_adjusted) as p_adjusted,
        null as ci_method,
        count(*) as n_groups,
        max(pooled.n_tests) as n_tests,
        null as farthest_slice,
        sum(pooled.whole_denominator) as whole_denominator
    from named as pooled
    where pooled.control_key is not null
        and pooled.metric is not null
    group by
        pooled.unit,
        pooled.slice_key,
        pooled.control_key,
        pooled.metric,
        pooled.aggregate
    {% endif %}
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
    case when final.p_value > 1 then 1e0 else final.p_value end as p_value,
    final.p_adjusted,
    case when final.ci_lower is not null then final.ci_method end as ci_method,
    {{ as_int('final.n_groups') }} as n_groups,
    {{ as_int('final.n_tests') }} as n_tests,
    final.farthest_slice,
    final.control_key,
    final.control_value
from final
inner join wml_due as due
    on final.unit = due.unit
