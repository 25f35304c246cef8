-- grain: one row per unit, slice_key, slice_value and metric that is shown, and of each control_key and control_value
-- unit:  the metric's; rest_* is everything, or the stratum, without the slice
-- null:  control_* without a control; rest_* of a metric that is no mean, or where the slice is everything; overall_ratio
--        where a value is below 0 or both are 0
-- Of each comparison, of one metric between the slices of one key, position_* number the slices: from the lowest up, from
-- the highest down, from the farthest from the whole, by difference and by ratio. At most one of them is the reference.
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
        dense_rank() over (
            order by rests.unit, rests.slice_key, rests.control_key, rests.control_value, rests.metric
        ) as comparison
    from rests
)

select
    {% for column in shown_columns %}
    rated.{{ column }},
    {% endfor %}
    rated.comparison,
    rated.slice_key,
    rated.slice_value,
    rated.control_key,
    rated.control_value,
    rated.reference,
    rated.whole_value,
    rated.whole_denominator,
    rated.share,
    rated.is_proportion,
    rated.rest_value,
    case
        when rated.is_proportion then rated.rest_value * (1e0 - rated.rest_value) / rated.rest_n_effective
        when rated.rest_n_effective > 1
            then greatest(0e0, rated.rest_moment - rated.rest_value * rated.rest_value) / (rated.rest_n_effective - 1e0)
    end as rest_variance,
    case when rated.is_proportion then {{ wilson_lower('rated.rest_value', 'rated.rest_n_effective') }} end as rest_ci_lower,
    case when rated.is_proportion then {{ wilson_upper('rated.rest_value', 'rated.rest_n_effective') }} end as rest_ci_upper,
    rated.rest_n_effective,
    rated.overall_ratio,
    count(*) over (partition by rated.comparison) as n_groups,
    {% for position, order in {
        'position_up': 'rated.value, rated.slice_value',
        'position_down': 'rated.value desc, rated.slice_value desc',
        'position_apart': 'abs(rated.value - rated.whole_value) desc, rated.slice_value',
        'position_unlike': 'coalesce(rated.overall_ratio, 2e0), rated.slice_value',
    }.items() %}
    row_number() over (partition by rated.comparison order by {{ order }}) as {{ position }},
    {% endfor %}
    case rated.reference
        when 'majority' then row_number() over (partition by rated.comparison order by rated.n desc, rated.slice_value) = 1
        when 'best'
            then row_number() over (
                partition by rated.comparison
                order by
                    case
                        when rated.metric = 'mean_error' then abs(rated.value)
                        when rated.metric in ({% for name in lower_is_better %}{{ name | literal }}{% if not loop.last %}, {% endif %}{% endfor %})
                            then rated.value
                        else -rated.value
                    end,
                    rated.slice_value
            ) = 1
        else rated.slice_value = rated.reference
    end as is_reference
from rated
