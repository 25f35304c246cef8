-- grain: one row per unit and slice in which a label and a score are known; binary task
-- unit:  n_* count rows; slice_id is 1, 2, ... in the order of slice_set
-- null:  never
{{ create_scratch('wml_ranked_slices') }}
with counted as (
    select
        bins.unit,
        bins.slice_set,
        bins.slice_value,
        {{ as_int('sum(case when bins.label = 1 then bins.n_scored else 0 end)') }} as n_positive,
        {{ as_int('sum(case when bins.label = 0 then bins.n_scored else 0 end)') }} as n_negative
    from wml_bins as bins
    group by
        bins.unit,
        bins.slice_set,
        bins.slice_value
)

select
    counted.unit,
    counted.slice_set,
    counted.slice_value,
    counted.n_positive,
    counted.n_negative,
    row_number() over (order by counted.slice_set, counted.unit, counted.slice_value) as slice_id
from counted
where counted.n_positive + counted.n_negative > 0
