-- grain: one row per unit and column with a cell that has to be looked into
-- unit:  gap is the largest distance of the two distribution functions inside of these cells, area that between the two
-- null:  gap where every number of the cells stands at their end
-- One sort of all rows costs a third of a window over each cell.
{{ create_scratch('wml_drift_walked') }}
with sorted as (
    select
        picked.place,
        picked.number,
        picked.n_reference,
        picked.n_current
    from wml_drift_picked as picked
    {{ sorted_first('picked.place, picked.number') }}
),

summed as (
    select
        sorted.place,
        sorted.number,
        sum(sorted.n_reference) {{ over_sorted('sorted.place, sorted.number', is_running=true) }} as reference_end,
        sum(sorted.n_current) {{ over_sorted('sorted.place, sorted.number', is_running=true) }} as current_end,
        lead(sorted.place) {{ over_sorted('sorted.place, sorted.number') }} as next_place,
        lead(sorted.number) {{ over_sorted('sorted.place, sorted.number') }} as next_number
    from sorted
),

walked as (
    select
        open_cells.unit,
        open_cells.input,
        abs(
            (open_cells.reference_base + summed.reference_end) / open_cells.reference_total
            - (open_cells.current_base + summed.current_end) / open_cells.current_total
        ) as gap,
        case
            when summed.next_place = summed.place then summed.next_number
            else greatest(open_cells.high, summed.number)
        end - summed.number as distance
    from summed
    inner join wml_drift_open as open_cells
        on summed.place = open_cells.place
)

select
    walked.unit,
    walked.input,
    -- Of equal numbers only the last counts.
    max(case when walked.distance > 0e0 then walked.gap end) as gap,
    sum(walked.gap * walked.distance) as area
from walked
group by
    walked.unit,
    walked.input
