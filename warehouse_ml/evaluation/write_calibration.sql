-- grain: one row per evaluation_id, slice_key, slice_value, bin; overall and single slices
-- unit:  bin 1 is [0, 0.1), bin 10 is [0.9, 1]; n counts rows, the means are weighted
-- null:  none; a bin without rows has no row, nor has a slice whose accuracy is not shown: bins tell of decisions
insert into {{ 'calibration' | wml }} (
    evaluation_id,
    evaluation,
    model,
    version,
    window_start,
    window_end,
    as_of,
    slice_key,
    slice_value,
    bin,
    n,
    mean_prediction,
    mean_label
)
with summed as (
    select
        bins.unit,
        bins.slice_set,
        bins.slice_value,
        bins.bin,
        sum(bins.n_rows) as n_rows,
        {{ safe_divide('sum(bins.score)', 'sum(bins.weight)') }} as mean_prediction,
        {{ safe_divide('sum(bins.weight * bins.label)', 'sum(bins.weight)') }} as mean_label
    from wml_bins as bins
    where bins.bin is not null
        and bins.slice_set in ({% for slice in slices if slice.names | length < 2 %}{{ slice.index }}{% if not loop.last %}, {% endif %}{% endfor %})
    group by
        bins.unit,
        bins.slice_set,
        bins.slice_value,
        bins.bin
),

slice_bins as (
    select
        summed.unit,
        summed.slice_set,
        summed.slice_value,
        summed.bin,
        {{ as_int('summed.n_rows') }} as n,
        summed.mean_prediction,
        summed.mean_label
    from summed
)

select
    due.evaluation_id,
    {{ param('evaluation') }} as evaluation,
    {{ param('model') }} as model,
    due.version,
    due.window_start,
    due.window_end,
    {{ param('as_of') }} as as_of,
    case slice_bins.slice_set
        {% for slice in slices %}
        when {{ loop.index0 }} then {{ slice.key | literal }}
        {% endfor %}
    end as slice_key,
    slice_bins.slice_value,
    slice_bins.bin,
    slice_bins.n,
    slice_bins.mean_prediction,
    slice_bins.mean_label
from slice_bins
inner join wml_due as due
    on slice_bins.unit = due.unit
inner join wml_metric as shown
    on slice_bins.unit = shown.unit
    and slice_bins.slice_set = shown.slice_set
    and slice_bins.slice_value = shown.slice_value
    and shown.metric = 'accuracy'
    and not shown.is_suppressed
