-- grain: one row per unit, slice and metric, as it is shown
-- unit:  intervals at 95 %; variance is that of the value, as an estimate, in the value's unit squared
-- null:  value and interval of a metric whose own denominator is 0, or, but for the overall row, below min_slice_size
{{ create_scratch('wml_metric') }}
with judged as (
    select
        measured.unit,
        measured.slice_set,
        case measured.slice_set
            {% for slice in slices %}
            when {{ loop.index0 }} then {{ slice.key | literal }}
            {% endfor %}
        end as slice_key,
        measured.slice_value,
        measured.metric,
        measured.ci_method,
        {{ finite('measured.value') }} as value,
        measured.variance,
        measured.n_rows,
        measured.denominator,
        {{ safe_divide('measured.denominator * measured.denominator', 'measured.denominator_squares') }} as n_effective,
        case measured.metric
            when 'n_requests' then false
            when 'n_labelled' then false
            when 'label_coverage' then false
            -- Over no rows at all there is nothing to hide.
            else measured.slice_set > 0 and measured.n_own > 0 and measured.n_own < {{ param('min_slice_size') }}
        end as is_suppressed,
        measured.n_own,
        measured.null_reason
    from wml_measured as measured
),

shown as (
    select
        judged.unit,
        judged.slice_set,
        judged.slice_key,
        judged.slice_value,
        judged.metric,
        judged.ci_method,
        case when not judged.is_suppressed then judged.value end as value,
        -- What rounding leaves below 0 is none.
        case
            when judged.ci_method in ('wilson', 'wilson_kish')
                then {{ safe_divide('greatest(0e0, judged.value * (1e0 - judged.value))', 'judged.n_effective') }}
            when judged.variance is not null then greatest(0e0, judged.variance)
        end as variance,
        judged.n_rows,
        case when not judged.is_suppressed then judged.denominator end as denominator,
        case when not judged.is_suppressed then judged.n_effective end as n_effective,
        judged.is_suppressed,
        case
            when judged.is_suppressed then
                -- Of the rows alone it is told how many there were: their number is shown, others would tell of a hidden rate.
                'denominator ' || case when judged.n_own = judged.n_rows then {{ as_string('judged.n_own') }} || ' ' else '' end
                || '< min_slice_size ' || {{ as_string(param('min_slice_size')) }}
            when judged.value is null then judged.null_reason
        end as reason
    from judged
),

widened as (
    select
        shown.unit,
        shown.slice_set,
        shown.slice_key,
        shown.slice_value,
        shown.metric,
        shown.ci_method,
        shown.value,
        shown.variance,
        1.959963984540054e0 * sqrt(shown.variance) as half_width,
        shown.n_rows,
        shown.denominator,
        shown.n_effective,
        shown.is_suppressed,
        shown.reason
    from shown
)

select
    widened.unit,
    widened.slice_set,
    widened.slice_key,
    widened.slice_value,
    widened.metric,
    widened.value,
    case
        when widened.value is null then null
        when widened.ci_method in ('wilson', 'wilson_kish') and widened.n_effective > 0
            then {{ wilson_lower('widened.value', 'widened.n_effective') }}
        when widened.ci_method = 'delong' and widened.value - widened.half_width < 0 then 0e0
        when widened.ci_method in ('delong', 'normal') then widened.value - widened.half_width
    end as ci_lower,
    case
        when widened.value is null then null
        when widened.ci_method in ('wilson', 'wilson_kish') and widened.n_effective > 0
            then {{ wilson_upper('widened.value', 'widened.n_effective') }}
        when widened.ci_method = 'delong' and widened.value + widened.half_width > 1 then 1e0
        when widened.ci_method in ('delong', 'normal') then widened.value + widened.half_width
    end as ci_upper,
    case when widened.value is not null then widened.ci_method end as ci_method,
    {{ as_int('widened.n_rows') }} as n,
    {{ as_double('widened.denominator') }} as denominator,
    widened.n_effective,
    widened.is_suppressed,
    widened.reason,
    case when widened.value is not null then widened.variance end as variance
from widened
