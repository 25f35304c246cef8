-- grain: one row per unit, slice_key, slice_value and metric that is shown, and of each control_key and control_value
-- unit:  the metric's; rest_* is everything, or the stratum, without the slice
-- null:  control_* without a control; rest_* of a metric that is no mean, or where the slice is everything
{% set shown_columns = ['unit', 'metric', 'value', 'ci_lower', 'ci_upper', 'variance', 'denominator', 'n_effective'] %}
{{ create_scratch('wml_compared') }}
with candidates as (
    select
        {% for column in shown_columns %}
        shown.{{ column }},
        {% endfor %}
        shown.slice_key,
        shown.slice_value,
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
)

select
    {% for column in shown_columns %}
    rests.{{ column }},
    {% endfor %}
    rests.slice_key,
    rests.slice_value,
    rests.control_key,
    rests.control_value,
    rests.whole_value,
    rests.whole_denominator,
    rests.share,
    case when rests.rest_n_effective is not null then rests.rest_value end as rest_value,
    case
        when rests.metric in ({% for name in proportions %}{{ name | literal }}{% if not loop.last %}, {% endif %}{% endfor %})
            then rests.rest_value * (1e0 - rests.rest_value) / rests.rest_n_effective
        when rests.rest_n_effective > 1 then greatest(0e0, rests.rest_moment - rests.rest_value * rests.rest_value) / (rests.rest_n_effective - 1e0)
    end as rest_variance,
    rests.rest_n_effective
from rests
