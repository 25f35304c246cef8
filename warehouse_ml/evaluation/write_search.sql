-- grain: one row per evaluation_id, metric and slice that does worse than the rest, the worst first
-- unit:  value, rest_value and difference as the metric; effect_size in standard deviations (of both sides, averaged)
-- null:  effect_size and interval where neither side varies
-- Welch's test of a slice's mean loss against that of all other rows, one-sided; p_adjusted is Benjamini and Hochberg's
-- over every slice and metric that was tested in the window. A slice is kept if that is at most 0.05.
insert into {{ 'worst_slices' | wml }} (
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
    n,
    value,
    rest_value,
    difference,
    effect_size,
    ci_lower,
    ci_upper,
    p_value,
    p_adjusted,
    n_tests,
    rank
)
with losses as (
    {% for metric in metrics %}
    {% set which = 'first' if loop.first else 'second' %}
    select
        cells.unit,
        cells.slice_key,
        cells.slice_value,
        {{ metric | literal }} as metric,
        edges.{{ which }}_mean as mean_loss,
        cells.n_rows,
        cells.{{ which }}_total as total,
        cells.{{ which }}_squares as squares
    from wml_search_cells as cells
    inner join wml_search_edges as edges
        on cells.unit = edges.unit
    {% if not loop.last %}
    union all
    {% endif %}
    {% endfor %}
),

split as (
    select
        losses.unit,
        losses.slice_key,
        losses.slice_value,
        losses.metric,
        losses.mean_loss,
        losses.n_rows,
        losses.total,
        losses.squares,
        overall.n_rows - losses.n_rows as n_rest,
        overall.total - losses.total as rest_total,
        overall.squares - losses.squares as rest_squares,
        overall.squares as all_squares
    from losses
    inner join losses as overall
        on losses.unit = overall.unit
        and losses.metric = overall.metric
        and overall.slice_key = 'overall'
    where losses.slice_key <> 'overall'
        and losses.n_rows >= greatest(2, {{ param('min_slice_size') }})
        and overall.n_rows - losses.n_rows >= greatest(2, {{ param('min_slice_size') }})
),

moments as (
    select
        split.unit,
        split.slice_key,
        split.slice_value,
        split.metric,
        split.mean_loss,
        split.n_rows,
        split.n_rest,
        split.total / split.n_rows as slice_mean,
        split.rest_total / split.n_rest as rest_mean,
        -- A rounding error is no variance.
        greatest(0e0, split.squares - split.total * split.total / split.n_rows - 1e-14 * split.squares) / (split.n_rows - 1) as slice_variance,
        greatest(0e0, split.rest_squares - split.rest_total * split.rest_total / split.n_rest - 1e-14 * split.all_squares) / (split.n_rest - 1) as rest_variance
    from split
),

welch as (
    select
        moments.unit,
        moments.slice_key,
        moments.slice_value,
        moments.metric,
        moments.n_rows,
        moments.slice_mean + moments.mean_loss as value,
        moments.rest_mean + moments.mean_loss as rest_value,
        moments.slice_mean - moments.rest_mean as difference,
        {{ safe_divide('moments.slice_mean - moments.rest_mean', 'sqrt((moments.slice_variance + moments.rest_variance) / 2e0)') }} as effect_size,
        sqrt(moments.slice_variance / moments.n_rows + moments.rest_variance / moments.n_rest) as standard_error,
        {{ safe_divide(
            'power(moments.slice_variance / moments.n_rows + moments.rest_variance / moments.n_rest, 2)',
            'power(moments.slice_variance / moments.n_rows, 2) / (moments.n_rows - 1) + power(moments.rest_variance / moments.n_rest, 2) / (moments.n_rest - 1)'
        ) }} as freedom
    from moments
),

tested as (
    select
        welch.unit,
        welch.slice_key,
        welch.slice_value,
        welch.metric,
        welch.n_rows,
        welch.value,
        welch.rest_value,
        welch.difference,
        welch.effect_size,
        welch.standard_error,
        welch.freedom,
        abs(welch.difference) / nullif(welch.standard_error, 0e0) as t
    from welch
),

deviates as (
    select
        tested.unit,
        tested.slice_key,
        tested.slice_value,
        tested.metric,
        tested.n_rows,
        tested.value,
        tested.rest_value,
        tested.difference,
        tested.effect_size,
        {{ student_97_5('tested.freedom') }} * tested.standard_error as half_width,
        {{ normal_of_student('tested.t', 'tested.freedom') }} as deviate
    from tested
),

judged as (
    select
        deviates.unit,
        deviates.slice_key,
        deviates.slice_value,
        deviates.metric,
        deviates.n_rows,
        deviates.value,
        deviates.rest_value,
        deviates.difference,
        deviates.effect_size,
        deviates.half_width,
        case
            when deviates.deviate is null and deviates.difference > 0 then 0e0
            when deviates.deviate is null then 1e0
            when deviates.difference > 0 then {{ normal_upper_tail('deviates.deviate') }}
            else 1e0 - {{ normal_upper_tail('deviates.deviate') }}
        end as p_value
    from deviates
),

numbered as (
    select
        judged.unit,
        judged.slice_key,
        judged.slice_value,
        judged.metric,
        judged.n_rows,
        judged.value,
        judged.rest_value,
        judged.difference,
        judged.effect_size,
        judged.half_width,
        judged.p_value,
        count(*) over (partition by judged.unit) as n_tests,
        row_number() over (
            partition by judged.unit
            order by judged.p_value, judged.metric, judged.slice_key, judged.slice_value
        ) as place
    from judged
),

adjusted as (
    select
        numbered.unit,
        numbered.slice_key,
        numbered.slice_value,
        numbered.metric,
        numbered.n_rows,
        numbered.value,
        numbered.rest_value,
        numbered.difference,
        numbered.effect_size,
        numbered.half_width,
        numbered.p_value,
        numbered.n_tests,
        least(1e0, min(numbered.p_value * numbered.n_tests / numbered.place) over (
            partition by numbered.unit
            order by numbered.place desc
            rows between unbounded preceding and current row
        )) as p_adjusted
    from numbered
),

ranked as (
    select
        adjusted.unit,
        adjusted.slice_key,
        adjusted.slice_value,
        adjusted.metric,
        adjusted.n_rows,
        adjusted.value,
        adjusted.rest_value,
        adjusted.difference,
        adjusted.effect_size,
        adjusted.half_width,
        adjusted.p_value,
        adjusted.n_tests,
        adjusted.p_adjusted,
        row_number() over (
            partition by adjusted.unit, adjusted.metric
            order by
                case when adjusted.effect_size is null then 0 else 1 end,
                adjusted.effect_size * sqrt(adjusted.n_rows) desc,
                adjusted.slice_key,
                adjusted.slice_value
        ) as place
    from adjusted
    where adjusted.difference > 0
        and adjusted.p_adjusted <= 0.05e0
)

select
    due.evaluation_id,
    {{ param('evaluation') }} as evaluation,
    {{ param('model') }} as model,
    due.version,
    due.window_start,
    due.window_end,
    {{ param('as_of') }} as as_of,
    ranked.slice_key,
    ranked.slice_value,
    ranked.metric,
    {{ as_int('ranked.n_rows') }} as n,
    ranked.value,
    ranked.rest_value,
    ranked.difference,
    ranked.effect_size,
    ranked.difference - ranked.half_width as ci_lower,
    ranked.difference + ranked.half_width as ci_upper,
    ranked.p_value,
    ranked.p_adjusted,
    {{ as_int('ranked.n_tests') }} as n_tests,
    {{ as_int('ranked.place') }} as rank
from ranked
inner join wml_due as due
    on ranked.unit = due.unit
where ranked.place <= {{ most_kept }}
