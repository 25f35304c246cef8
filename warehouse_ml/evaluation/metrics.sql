-- grain: one row per unit, slice and metric, as it is shown
-- unit:  intervals at 95 %; variance is that of the value, as an estimate, in the value's unit squared
-- An interval stands on the scale that has no edges where the metric's does: log-odds in [0, 1], the logarithm above 0,
-- that of 1 - value below 1. At an edge there is no spread to see, so 0 and 1 get Wilson's over the metric's own rows.
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
        {{ finite('measured.variance') }} as variance,
        {{ finite('measured.ci_lower') }} as ci_lower,
        {{ finite('measured.ci_upper') }} as ci_upper,
        measured.n_rows,
        measured.denominator,
        measured.n_effective,
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
        judged.ci_lower,
        judged.ci_upper,
        judged.n_own,
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
        case
            when shown.value is null then null
            when shown.ci_method in ('delong', 'logit') and (shown.value < 1e-12 or shown.value > 1e0 - 1e-12) then 'edge'
            -- Errors of 0 on every row have no logarithm, and no spread.
            when shown.ci_method = 'log' and shown.value <= 0 then 'normal'
            when shown.ci_method = 'log_complement' and shown.value >= 1 then 'normal'
            else shown.ci_method
        end as scale,
        shown.ci_method,
        shown.value,
        shown.variance,
        shown.ci_lower,
        shown.ci_upper,
        1.959963984540054e0 * sqrt(shown.variance) as half_width,
        case
            when shown.ci_method in ('delong', 'logit') and shown.n_own < shown.n_effective then cast(shown.n_own as {{ type('double') }})
            else shown.n_effective
        end as n_interval,
        -- Of F1 back to the share of true positives among all that is positive or called so.
        case when shown.ci_method = 'wilson_jaccard' then shown.value / (2e0 - shown.value) else shown.value end as share,
        shown.n_rows,
        shown.denominator,
        shown.n_effective,
        shown.is_suppressed,
        shown.reason
    from shown
),

bounded as (
    select
        widened.unit,
        widened.slice_set,
        widened.slice_key,
        widened.slice_value,
        widened.metric,
        widened.value,
        {% for bound, (sign, opposite, wilson_bound) in {'lower': ('-', '+', wilson_lower), 'upper': ('+', '-', wilson_upper)}.items() %}
        case
            when widened.scale is null then null
            when widened.scale in ('wilson', 'wilson_kish', 'wilson_jaccard', 'edge')
                then case when widened.n_interval > 0 and (widened.scale <> 'edge' or widened.variance is not null) then {{ wilson_bound('widened.share', 'widened.n_interval') }} end
            when widened.scale = 'normal' then widened.value {{ sign }} widened.half_width
            when widened.scale = 'log' then widened.value * exp(least(700e0, {{ sign }}widened.half_width / widened.value))
            when widened.scale = 'log_complement'
                then 1e0 - (1e0 - widened.value) * exp(least(700e0, {{ opposite }}widened.half_width / (1e0 - widened.value)))
            when widened.scale in ('delong', 'logit') then
                widened.value / (
                    widened.value
                    + (1e0 - widened.value)
                    * exp(least(700e0, {{ opposite }}widened.half_width / (widened.value * (1e0 - widened.value))))
                )
            when widened.metric = 'expected_calibration_error' then widened.ci_{{ bound }} {{ sign }} widened.half_width
            else widened.ci_{{ bound }}
        end as ci_{{ bound }},
        {% endfor %}
        widened.ci_method,
        widened.scale,
        widened.n_rows,
        widened.denominator,
        widened.n_effective,
        widened.is_suppressed,
        widened.reason,
        case when widened.value is not null then widened.variance end as variance
    from widened
)

select
    bounded.unit,
    bounded.slice_set,
    bounded.slice_key,
    bounded.slice_value,
    bounded.metric,
    bounded.value,
    -- Rounding never leaves the value outside.
    {% for bound, (beyond, edge) in {'lower': ('>', '0e0'), 'upper': ('<', '1e0')}.items() %}
    case
        when bounded.ci_lower is null or bounded.ci_upper is null then null
        when bounded.metric = 'expected_calibration_error' and bounded.ci_{{ bound }} {{ '<' if bound == 'lower' else '>' }} {{ edge }} then {{ edge }}
        when bounded.scale = 'wilson_jaccard' then 2e0 - 2e0 / (1e0 + bounded.ci_{{ bound }})
        when bounded.ci_{{ bound }} {{ beyond }} bounded.value then bounded.value
        else bounded.ci_{{ bound }}
    end as ci_{{ bound }},
    {% endfor %}
    case when bounded.ci_lower is not null and bounded.ci_upper is not null then bounded.ci_method end as ci_method,
    {{ as_int('bounded.n_rows') }} as n,
    {{ as_double('bounded.denominator') }} as denominator,
    bounded.n_effective,
    bounded.is_suppressed,
    bounded.reason,
    bounded.variance
from bounded
