-- grain: one row per evaluation_id, slice_key, slice_value and metric
-- unit:  disparity and ratio_to_highest are ratios of values, difference is in the metric's unit; n counts answered rows
-- null:  all but n where the value is hidden; disparity where the reference is 0 or a value below it; interval and p_value
--        of the reference itself; `reason` says why a value is null
-- As Aequitas: the disparity is the value over that of the reference group.
insert into {{ 'disparities' | wml }} (
    evaluation_id,
    evaluation,
    model,
    version,
    window_start,
    window_end,
    as_of,
    slice_key,
    slice_value,
    metric,
    value,
    n,
    reference,
    reference_slice,
    reference_value,
    disparity,
    ci_lower,
    ci_upper,
    ci_method,
    difference,
    p_value,
    p_adjusted,
    n_tests,
    highest_slice,
    ratio_to_highest,
    is_suppressed,
    reason
)
select
    due.evaluation_id,
    {{ param('evaluation') }} as evaluation,
    {{ param('model') }} as model,
    due.version,
    due.window_start,
    due.window_end,
    {{ param('as_of') }} as as_of,
    shown.slice_key,
    shown.slice_value,
    shown.metric,
    shown.value,
    shown.n,
    case shown.slice_key
        {% for key, reference in references.items() %}
        when {{ key | literal }} then {{ reference | literal }}
        {% endfor %}
    end as reference,
    tested.other_slice as reference_slice,
    tested.other_value as reference_value,
    tested.ratio as disparity,
    tested.ratio_ci_lower as ci_lower,
    tested.ratio_ci_upper as ci_upper,
    case when tested.ratio_ci_lower is not null then 'log_delta' end as ci_method,
    tested.difference,
    tested.p_value,
    tested.p_adjusted,
    tested.n_tests,
    highest.slice_value as highest_slice,
    case when shown.value >= 0 then {{ safe_divide('shown.value', 'highest.value') }} end as ratio_to_highest,
    shown.is_suppressed,
    case
        when shown.value is null then shown.reason
        when tested.kind is null then 'the reference group has no value that is shown'
        when tested.ratio is null and tested.other_value = 0 then 'the reference is 0'
        when tested.ratio is null then 'a value below 0 has no ratio'
    end as reason
from wml_metric as shown
inner join wml_due as due
    on shown.unit = due.unit
left join wml_tested as tested
    on shown.unit = tested.unit
    and shown.slice_key = tested.slice_key
    and shown.slice_value = tested.slice_value
    and shown.metric = tested.metric
    and tested.kind = 'reference'
left join wml_compared as highest
    on shown.unit = highest.unit
    and shown.slice_key = highest.slice_key
    and shown.metric = highest.metric
    and highest.slice_value = highest.highest_slice
    and highest.control_key is null
where shown.slice_set between 1 and {{ n_slices }}
    and shown.metric in ({% for name in metrics %}{{ name | literal }}{% if not loop.last %}, {% endif %}{% endfor %})
