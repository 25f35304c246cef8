-- grain: one row per unit, slice_key, slice_value and metric that is shown, and of each control_key and control_value
-- unit:  the metric's; rest_* is everything, or the stratum, without the slice
-- null:  control_* without a control; rest_* of a metric that is no mean, or where the slice is everything; overall_ratio
--        where a value is below 0 or both are 0
-- A comparison is of one metric between the slices of one key. Of those it names the lowest, the highest, those farthest
-- from the whole by difference and by ratio, and the reference.
{% set shown_columns = ['unit', 'metric', 'value', 'ci_lower', 'ci_upper', 'variance', 'denominator', 'n_effective'] %}
{{ create_scratch('wml_compared') }}
with candidates as (
    select
        {% for column in shown_columns %}
        shown.{{ column }},
        {% endfor %}
        shown.slice_key,
        shown.slice_value,
        shown.n,
        case shown.slice_key
            {% for key, reference in references.items() %}
            when {{ key | literal }} then {{ reference | literal }}
            {% endfor %}
        end as reference,
        cast(null as {{ type('string') }}) as control_key,
        cast(null as {{ type('string') }}) as control_value,
        0 as whole_set,
        'all' as whole_value
    from wml_metric as shown
    where shown.slice_set between 1 and {{ n_slices }}
    {% if has_control %}
    union all
    select
        {% for column in shown_columns %}
        shown.{{ column }},
        {% endfor %}
        strata.slice_key,
        strata.group_value as slice_value,
        shown.n,
        null as reference,
        strata.control_key,
        strata.control_value,
        strata.control_set as whole_set,
        strata.control_value as whole_value
    from wml_metric as shown
    inner join wml_strata as strata
        on shown.unit = strata.unit
        and shown.slice_set = strata.slice_set
        and shown.slice_value = strata.slice_value
    {% endif %}
),

placed as (
    select
        {% for column in shown_columns %}
        candidates.{{ column }},
        {% endfor %}
        candidates.slice_key,
        candidates.slice_value,
        candidates.control_key,
        candidates.control_value,
        candidates.n,
        candidates.reference,
        whole.value as whole_value,
        whole.denominator as whole_denominator,
        candidates.denominator / nullif(whole.denominator, 0e0) as share,
        -- Sums of weights, squares of weights and second moments add up: the rest is what the slice leaves of the whole.
        case
            when candidates.metric in ({% for name in proportions + means %}{{ name | literal }}{% if not loop.last %}, {% endif %}{% endfor %})
                and candidates.denominator < whole.denominator
                then whole.denominator - candidates.denominator
        end as rest_denominator,
        whole.denominator * whole.denominator / nullif(whole.n_effective, 0e0)
            - candidates.denominator * candidates.denominator / nullif(candidates.n_effective, 0e0) as rest_squares,
        whole.variance * (whole.n_effective - 1e0) + whole.value * whole.value as whole_moment,
        candidates.variance * (candidates.n_effective - 1e0) + candidates.value * candidates.value as moment
    from candidates
    inner join wml_metric as whole
        on candidates.unit = whole.unit
        and candidates.metric = whole.metric
        and whole.slice_set = candidates.whole_set
        and whole.slice_value = candidates.whole_value
    where candidates.value is not null
        and whole.value is not null
        and candidates.metric in ({% for name in metrics %}{{ name | literal }}{% if not loop.last %}, {% endif %}{% endfor %})
),

rests as (
    select
        {% for column in shown_columns %}
        placed.{{ column }},
        {% endfor %}
        placed.slice_key,
        placed.slice_value,
        placed.control_key,
        placed.control_value,
        placed.n,
        placed.reference,
        placed.whole_value,
        placed.whole_denominator,
        placed.share,
        case
            when placed.metric in ({% for name in proportions %}{{ name | literal }}{% if not loop.last %}, {% endif %}{% endfor %})
                then least(1e0, greatest(0e0, (placed.whole_value - placed.share * placed.value) / nullif(1e0 - placed.share, 0e0)))
            else (placed.whole_value - placed.share * placed.value) / nullif(1e0 - placed.share, 0e0)
        end as rest_value,
        (placed.whole_moment - placed.share * placed.moment) / nullif(1e0 - placed.share, 0e0) as rest_moment,
        placed.rest_denominator * placed.rest_denominator / nullif(greatest(0e0, placed.rest_squares), 0e0) as rest_n_effective
    from placed
),

rated as (
    select
        {% for column in shown_columns %}
        rests.{{ column }},
        {% endfor %}
        rests.slice_key,
        rests.slice_value,
        rests.control_key,
        rests.control_value,
        rests.n,
        rests.reference,
        rests.whole_value,
        rests.whole_denominator,
        rests.share,
        case when rests.rest_n_effective is not null then rests.rest_value end as rest_value,
        rests.rest_moment,
        rests.rest_n_effective,
        rests.metric in ({% for name in proportions %}{{ name | literal }}{% if not loop.last %}, {% endif %}{% endfor %}) as is_proportion,
        case
            when rests.value < 0 or rests.whole_value < 0 then null
            when rests.value < rests.whole_value then {{ safe_divide('rests.value', 'rests.whole_value') }}
            else {{ safe_divide('rests.whole_value', 'rests.value') }}
        end as overall_ratio,
        {{ row_text(['rests.unit', 'rests.slice_key', 'rests.control_key', 'rests.control_value', 'rests.metric']) }} as comparison,
        -- The smallest is the reference; within a control there is none.
        case
            when rests.reference is null then null
            when rests.reference = 'majority' then -rests.n
            when rests.reference <> 'best' then case when rests.slice_value = rests.reference then 0 end
            when rests.metric = 'mean_error' then abs(rests.value)
            when rests.metric in ({% for name in lower_is_better %}{{ name | literal }}{% if not loop.last %}, {% endif %}{% endfor %})
                then rests.value
            else -rests.value
        end as reference_order
    from rests
),

{% set carried = shown_columns + ['comparison', 'slice_key', 'slice_value', 'control_key', 'control_value', 'reference', 'whole_value', 'whole_denominator',
    'share', 'is_proportion', 'rest_value', 'rest_moment', 'rest_n_effective', 'overall_ratio', 'reference_order'] %}
ends as (
    select
        {% for column in carried %}
        rated.{{ column }},
        {% endfor %}
        count(*) over own as n_groups,
        min(rated.value) over own as lowest_value,
        max(rated.value) over own as highest_value,
        max(abs(rated.value - rated.whole_value)) over own as farthest_distance,
        min(coalesce(rated.overall_ratio, 2e0)) over own as smallest_ratio,
        min(rated.reference_order) over own as first_reference
    from rated
    window own as (partition by rated.comparison)
)

select
    {% for column in carried if column not in ['rest_moment', 'reference_order'] %}
    ends.{{ column }},
    {% endfor %}
    ends.n_groups,
    case
        when ends.is_proportion then ends.rest_value * (1e0 - ends.rest_value) / ends.rest_n_effective
        when ends.rest_n_effective > 1
            then greatest(0e0, ends.rest_moment - ends.rest_value * ends.rest_value) / (ends.rest_n_effective - 1e0)
    end as rest_variance,
    case when ends.is_proportion then {{ wilson_lower('ends.rest_value', 'ends.rest_n_effective') }} end as rest_ci_lower,
    case when ends.is_proportion then {{ wilson_upper('ends.rest_value', 'ends.rest_n_effective') }} end as rest_ci_upper,
    min(case when ends.value = ends.lowest_value then ends.slice_value end) over own as lowest_slice,
    max(case when ends.value = ends.highest_value then ends.slice_value end) over own as highest_slice,
    min(case when abs(ends.value - ends.whole_value) = ends.farthest_distance then ends.slice_value end) over own as farthest_slice,
    min(case when coalesce(ends.overall_ratio, 2e0) = ends.smallest_ratio then ends.slice_value end) over own as most_unlike_slice,
    min(case when ends.reference_order = ends.first_reference then ends.slice_value end) over own as reference_slice
from ends
window own as (partition by ends.comparison)
