-- grain: one row per unit, column and bucket of texts or nulls, or cell of numbers
-- unit:  n_* count rows; *_gap is the reference's distribution function less that of the current rows; area is the
--        integral of that over the cell; is_open says that the cell has to be looked into
-- null:  bucket of nulls, cell and all that is of cells for what is no number
--
-- The two distances of distribution functions are exact, and yet not every value is sorted. Values fall into cells, in
-- their order. Where one side's function lies above the other's all through a cell, the area between the two follows
-- from sums; where a cell cannot hold the largest distance, its ends do. Only the cells that are left are looked into.
{{ create_scratch('wml_drift_cells') }}
with side_cells as (
    select
        reference.unit,
        reference.input,
        reference.text,
        reference.cell,
        reference.low,
        reference.lowest,
        reference.highest,
        reference.n_rows as n_reference,
        0 as n_current,
        reference.number_sum as reference_sum,
        0e0 as current_sum
    from wml_drift_reference_cells as reference
    union all
    select
        counted.unit,
        counted.input,
        counted.text,
        counted.cell,
        min(counted.low) as low,
        min(counted.number) as lowest,
        max(counted.number) as highest,
        0 as n_reference,
        sum(counted.n_rows) as n_current,
        0e0 as reference_sum,
        sum(counted.n_rows * (counted.number - counted.low)) as current_sum
    from wml_drift_current as counted
    where counted.input <> 'output_label'
        -- A label that is not known says nothing of the labels.
        or counted.text is not null
        or counted.number is not null
    group by
        counted.unit,
        counted.input,
        counted.text,
        counted.cell
),

current_units as (
    select distinct counted.unit
    from wml_drift_current as counted
),

unit_cells as (
    select
        current_units.unit,
        side_cells.input,
        side_cells.text,
        side_cells.cell,
        side_cells.low,
        side_cells.lowest,
        side_cells.highest,
        side_cells.n_reference,
        side_cells.n_current,
        side_cells.reference_sum,
        side_cells.current_sum
    from side_cells
    inner join current_units
        on side_cells.unit = 0
        or side_cells.unit = current_units.unit
),

cells as (
    select
        unit_cells.unit,
        unit_cells.input,
        coalesce(unit_cells.text, {{ as_string(as_int('floor(unit_cells.cell / 10000)')) }}) as bucket,
        unit_cells.cell,
        min(unit_cells.low) as low,
        min(unit_cells.lowest) as lowest,
        max(unit_cells.highest) as highest,
        {{ as_double('sum(unit_cells.n_reference)') }} as n_reference,
        {{ as_double('sum(unit_cells.n_current)') }} as n_current,
        {{ as_double('sum(unit_cells.reference_sum)') }} as reference_sum,
        {{ as_double('sum(unit_cells.current_sum)') }} as current_sum
    from unit_cells
    group by
        unit_cells.unit,
        unit_cells.input,
        unit_cells.text,
        unit_cells.cell
),

totals as (
    select
        cells.unit,
        cells.input,
        sum(cells.n_reference) as n_reference,
        sum(cells.n_current) as n_current,
        sum(case when cells.bucket is not null then cells.n_reference else 0 end) as n_reference_known,
        sum(case when cells.bucket is not null then cells.n_current else 0 end) as n_current_known
    from cells
    group by
        cells.unit,
        cells.input
),

ordered as (
    select
        cells.unit,
        cells.input,
        cells.bucket,
        cells.cell,
        cells.low,
        cells.lowest,
        cells.highest,
        cells.n_reference,
        cells.n_current,
        cells.reference_sum,
        cells.current_sum,
        nullif(totals.n_reference_known, 0) as reference_total,
        nullif(totals.n_current_known, 0) as current_total,
        sum(cells.n_reference) over cells_in_order as reference_end,
        sum(cells.n_current) over cells_in_order as current_end,
        lag(cells.highest) over cells_in_order as highest_before
    from cells
    inner join totals
        on cells.unit = totals.unit
        and cells.input = totals.input
    window cells_in_order as (
        partition by cells.unit, cells.input
        order by cells.cell nulls last
        rows between unbounded preceding and current row
    )
),

stepped as (
    select
        ordered.unit,
        ordered.input,
        ordered.bucket,
        ordered.cell,
        ordered.n_reference,
        ordered.n_current,
        ordered.reference_total,
        ordered.current_total,
        ordered.reference_end,
        ordered.current_end,
        ordered.reference_end - ordered.n_reference as reference_start,
        ordered.current_end - ordered.n_current as current_start,
        ordered.lowest - ordered.highest_before as distance_before,
        ordered.highest - ordered.lowest as width,
        ordered.n_reference * (ordered.highest - ordered.low) - ordered.reference_sum as reference_area,
        ordered.n_current * (ordered.highest - ordered.low) - ordered.current_sum as current_area
    from ordered
),

spanned as (
    select
        stepped.unit,
        stepped.input,
        stepped.bucket,
        stepped.cell,
        stepped.n_reference,
        stepped.n_current,
        stepped.width,
        stepped.reference_total,
        stepped.current_total,
        stepped.reference_start,
        stepped.current_start,
        stepped.distance_before,
        stepped.reference_start / stepped.reference_total - stepped.current_start / stepped.current_total as start_gap,
        stepped.reference_end / stepped.reference_total - stepped.current_end / stepped.current_total as end_gap,
        stepped.reference_start / stepped.reference_total - stepped.current_end / stepped.current_total as least_gap,
        stepped.reference_end / stepped.reference_total - stepped.current_start / stepped.current_total as greatest_gap,
        (stepped.reference_start * stepped.width + stepped.reference_area) / stepped.reference_total
            - (stepped.current_start * stepped.width + stepped.current_area) / stepped.current_total as area
    from stepped
)

select
    spanned.unit,
    spanned.input,
    spanned.bucket,
    spanned.cell,
    spanned.n_reference,
    spanned.n_current,
    spanned.reference_total,
    spanned.current_total,
    spanned.reference_start,
    spanned.current_start,
    spanned.distance_before,
    spanned.start_gap,
    spanned.end_gap,
    spanned.area,
    coalesce(
        spanned.width > 0 and (
            (spanned.least_gap < 0 and spanned.greatest_gap > 0)
            -- With rows of one side alone the difference only falls, or only rises.
            or (
                spanned.n_reference > 0
                and spanned.n_current > 0
                and greatest(-spanned.least_gap, spanned.greatest_gap)
                > max(abs(spanned.end_gap)) over (partition by spanned.unit, spanned.input)
            )
        ),
        false
    ) as is_open
from spanned
