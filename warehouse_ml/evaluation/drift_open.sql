-- grain: one row per cell that has to be looked into
-- unit:  place is 1, 2, ... in the order of unit, column and cell; *_base is what a running count over all these cells is
--        to be corrected by to count from the start of the column
-- null:  none
{{ create_scratch('wml_drift_open') }}
select
    {{ as_int('row_number() over (order by cells.unit, cells.input, cells.position)') }} as place,
    cells.unit,
    cells.input,
    {{ as_small_int('cells.position') }} as cell,
    cells.low,
    cells.high,
    cells.reference_total,
    cells.current_total,
    cells.reference_start + cells.n_reference - sum(cells.n_reference) over cells_in_order as reference_base,
    cells.current_start + cells.n_current - sum(cells.n_current) over cells_in_order as current_base
from wml_drift_cells as cells
where cells.is_open
window cells_in_order as (
    order by cells.unit, cells.input, cells.position
    rows between unbounded preceding and current row
)
