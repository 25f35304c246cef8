-- grain: one row per evaluation, model, stretch of a canary beside one champion with one share, slice and metric
-- unit:  version is the canary's, other_version the champion's; difference is value less other_value, in the metric's unit
-- null:  until where the stretch goes on; p_value but for shares of requests
-- Each request was answered by one of the two, drawn by its own hash: the groups are independent, and what differs but for
-- chance is the versions' doing. Only mature windows that lie inside the stretch count, and of those the ones where both
-- have a value. Shares are pooled over the windows (Newcombe's interval, method 10); of any other metric with an interval
-- the windows are weighted alike for both, and the intervals combined (Zou and Donner, 2008).
create or replace view {{ 'ab_results' | wml }} as
with stretches as (
    select
        canaries.model,
        canaries.version,
        champions.version as other_version,
        canaries.share,
        case when canaries.since > champions.since then canaries.since else champions.since end as since,
        case
            when canaries.until is null then champions.until
            when champions.until is null then canaries.until
            when canaries.until < champions.until then canaries.until
            else champions.until
        end as until
    from {{ 'alias_periods' | wml }} as canaries
    inner join {{ 'alias_periods' | wml }} as champions
        on canaries.model = champions.model
        and (champions.until is null or canaries.since < champions.until)
        and (canaries.until is null or champions.since < canaries.until)
    where canaries.alias = 'canary'
        and champions.alias = 'champion'
),

mature as (
    select
        metrics.evaluation,
        metrics.model,
        metrics.version,
        metrics.window_start,
        metrics.window_end,
        metrics.slice_key,
        metrics.slice_value,
        metrics.metric,
        metrics.value,
        metrics.ci_lower,
        metrics.ci_upper,
        metrics.ci_method,
        metrics.n,
        metrics.denominator,
        metrics.better
    from {{ 'latest_metrics' | wml }} as metrics
    inner join {{ 'latest_evaluations' | wml }} as evaluations
        on metrics.evaluation_id = evaluations.evaluation_id
    where evaluations.is_mature
        and metrics.ci_lower is not null
        and metrics.denominator > 0
),

paired as (
    select
        stretches.model,
        stretches.version,
        stretches.other_version,
        stretches.share,
        stretches.since,
        stretches.until,
        canary.evaluation,
        canary.slice_key,
        canary.slice_value,
        canary.metric,
        canary.better,
        case when canary.ci_method = 'wilson' and champion.ci_method = 'wilson' then 1 else 0 end as is_share,
        canary.value,
        canary.ci_lower,
        canary.ci_upper,
        canary.n,
        canary.denominator,
        champion.value as other_value,
        champion.ci_lower as other_ci_lower,
        champion.ci_upper as other_ci_upper,
        champion.n as other_n,
        champion.denominator as other_denominator,
        {{ as_double('canary.n + champion.n') }} as weight
    from stretches
    inner join mature as canary
        on stretches.model = canary.model
        and stretches.version = canary.version
        and stretches.since <= canary.window_start
        and (stretches.until is null or canary.window_end <= stretches.until)
    inner join mature as champion
        on stretches.model = champion.model
        and stretches.other_version = champion.version
        and canary.evaluation = champion.evaluation
        and canary.window_start = champion.window_start
        and canary.slice_key = champion.slice_key
        and canary.slice_value = champion.slice_value
        and canary.metric = champion.metric
),

pooled as (
    select
        paired.model,
        paired.version,
        paired.other_version,
        paired.share,
        paired.since,
        paired.until,
        paired.evaluation,
        paired.slice_key,
        paired.slice_value,
        paired.metric,
        max(paired.better) as better,
        min(paired.is_share) as is_share,
        count(*) as n_windows,
        sum(paired.n) as n,
        sum(paired.other_n) as other_n,
        sum(paired.denominator) as denominator,
        sum(paired.other_denominator) as other_denominator,
        sum(round(paired.value * paired.denominator)) as numerator,
        sum(round(paired.other_value * paired.other_denominator)) as other_numerator,
        {% for side in ['', 'other_'] %}
        {{ safe_divide('sum(paired.weight * paired.' ~ side ~ 'value)', 'sum(paired.weight)') }} as {{ side }}mean,
        {{ safe_divide('sqrt(sum(power(paired.weight * (paired.' ~ side ~ 'value - paired.' ~ side ~ 'ci_lower), 2)))', 'sum(paired.weight)') }} as {{ side }}below,
        {{ safe_divide('sqrt(sum(power(paired.weight * (paired.' ~ side ~ 'ci_upper - paired.' ~ side ~ 'value), 2)))', 'sum(paired.weight)') }} as {{ side }}above{% if not loop.last %},{% endif %}

        {% endfor %}
    from paired
    group by
        paired.model,
        paired.version,
        paired.other_version,
        paired.share,
        paired.since,
        paired.until,
        paired.evaluation,
        paired.slice_key,
        paired.slice_value,
        paired.metric
),

valued as (
    select
        pooled.*,
        case when pooled.is_share = 1 then pooled.numerator / pooled.denominator else pooled.mean end as value,
        case when pooled.is_share = 1 then pooled.other_numerator / pooled.other_denominator else pooled.other_mean end as other_value,
        {{ safe_divide('pooled.numerator + pooled.other_numerator', 'pooled.denominator + pooled.other_denominator') }} as share_of_both
    from pooled
),

widened as (
    select
        valued.*,
        case when valued.is_share = 1 then valued.value - {{ wilson_lower('valued.value', 'valued.denominator') }} else valued.below end as down,
        case when valued.is_share = 1 then {{ wilson_upper('valued.value', 'valued.denominator') }} - valued.value else valued.above end as up,
        case when valued.is_share = 1 then valued.other_value - {{ wilson_lower('valued.other_value', 'valued.other_denominator') }} else valued.other_below end as other_down,
        case when valued.is_share = 1 then {{ wilson_upper('valued.other_value', 'valued.other_denominator') }} - valued.other_value else valued.other_above end as other_up,
        case
            when valued.is_share = 1 and valued.value = valued.other_value then 0e0
            when valued.is_share = 1 then {{ safe_divide(
                'abs(valued.value - valued.other_value)',
                'sqrt(greatest(0e0, valued.share_of_both * (1e0 - valued.share_of_both) * (1e0 / valued.denominator + 1e0 / valued.other_denominator)))'
            ) }}
        end as z
    from valued
),

final as (
    select
        widened.*,
        widened.value - widened.other_value as difference,
        widened.value - widened.other_value - sqrt(power(widened.down, 2) + power(widened.other_up, 2)) as ci_lower,
        widened.value - widened.other_value + sqrt(power(widened.up, 2) + power(widened.other_down, 2)) as ci_upper
    from widened
)

select
    final.evaluation,
    final.model,
    final.version,
    final.other_version,
    final.share,
    final.since,
    final.until,
    final.slice_key,
    final.slice_value,
    final.metric,
    {{ as_int('final.n_windows') }} as n_windows,
    {{ as_int('final.n') }} as n,
    {{ as_int('final.other_n') }} as other_n,
    final.denominator,
    final.other_denominator,
    final.value,
    final.other_value,
    final.difference,
    final.ci_lower,
    final.ci_upper,
    case when final.is_share = 1 then 2e0 * {{ normal_upper_tail('final.z') }} end as p_value,
    case when final.is_share = 1 then 'newcombe' else 'mover' end as ci_method,
    case
        when final.better is null then null
        when final.ci_lower <= 0 and final.ci_upper >= 0 then 'no clear difference'
        when final.better = 'higher' and final.difference > 0 then 'better'
        when final.better = 'lower' and final.difference < 0 then 'better'
        else 'worse'
    end as verdict
from final
