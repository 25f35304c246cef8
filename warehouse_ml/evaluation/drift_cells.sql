-- grain: one row per unit, numeric column and cell, or number of a column whose numbers are counted one by one
-- unit:  n_* count rows; *_gap is the reference's distribution function less that of the current rows; area is the
--        integral of that over the cell; is_open says that the cell has to be looked into
-- null:  next_low in the last row; gaps and area where a side has no number
--
-- The two distances of distribution functions are exact, and yet not every value is sorted. Values fall into cells, in
-- their order. Where one side's function lies above the other's all through a cell, the area between the two follows
-- from sums; where a cell cannot hold the largest distance, its ends do. Only the cells that are left are looked into.
--
-- Where a cell begins follows from its number. The first cell of all begins where it ends, and the last ends where it
-- begins: there both functions are 0, or 1.
{% macro bound(cell) %}
case
            when pieces.form is null then merged.position
            when pieces.n_cells = 0e0 then pieces.start
            when pieces.form = 'below' then pieces.start - (pieces.n_cells / ({{ cell }}) - 1e0) * pieces.width
            when pieces.form = 'above'
                then pieces.start + greatest(0e0, pieces.n_cells / (pieces.n_cells + 0.999e0 - ({{ cell }})) - 1e0) * pieces.width
            else pieces.start + ({{ cell }}) * pieces.width
        end
{%- endmacro %}
{{ create_scratch('wml_drift_cells') }}
with current_units as (
    select distinct counted.unit
    from wml_drift_current_counted as counted
),

sides as (
    select
        current_units.unit,
        reference.input,
        reference.piece,
        reference.position,
        {{ as_double('reference.n_rows') }} as n_reference,
        0e0 as n_current,
        reference.number_sum as reference_sum,
        0e0 as current_sum
    from wml_drift_reference_counted as reference
    cross join current_units
    where reference.position is not null
    union all
    select
        counted.unit,
        counted.input,
        counted.piece,
        counted.position,
        0e0 as n_reference,
        {{ as_double('counted.n_rows') }} as n_current,
        0e0 as reference_sum,
        counted.number_sum as current_sum
    from wml_drift_current_counted as counted
    where counted.position is not null
),

merged as {{ materialized() }} (
    select
        sides.unit,
        sides.input,
        sides.position,
        min(sides.piece) as piece,
        sum(sides.n_reference) as n_reference,
        sum(sides.n_current) as n_current,
        sum(sides.reference_sum) as reference_sum,
        sum(sides.current_sum) as current_sum
    from sides
    group by
        sides.unit,
        sides.input,
        sides.position
),

totals as (
    select
        merged.unit,
        merged.input,
        sum(merged.n_reference) as n_reference,
        sum(merged.n_current) as n_current
    from merged
    group by
        merged.unit,
        merged.input
),

starts as (
    select
        totals.unit,
        totals.input,
        nullif(totals.n_reference, 0e0) as reference_total,
        nullif(totals.n_current, 0e0) as current_total,
        sum(totals.n_reference) over totals_in_order - totals.n_reference as reference_before,
        sum(totals.n_current) over totals_in_order - totals.n_current as current_before
    from totals
    window totals_in_order as (
        order by totals.unit, totals.input
        rows between unbounded preceding and current row
    )
),

bounded as (
    select
        merged.unit,
        merged.input,
        merged.position,
        merged.n_reference,
        merged.n_current,
        merged.reference_sum,
        merged.current_sum,
        pieces.tenth,
        pieces.origin,
        pieces.width,
        {{ bound("case when pieces.form = 'below' then greatest(merged.position - pieces.first_cell, 1e0) else merged.position - pieces.first_cell end") }} as low,
        {{ bound('least(merged.position - pieces.first_cell + 1e0, pieces.n_cells)') }} as high
    from merged
    inner join wml_drift_pieces as pieces
        on merged.input = pieces.input
        and merged.piece = pieces.piece
    {{ sorted_first('merged.unit, merged.input, merged.position') }}
),

ordered as (
    select
        bounded.unit,
        bounded.input,
        bounded.position,
        bounded.n_reference,
        bounded.n_current,
        bounded.tenth,
        bounded.width,
        bounded.low,
        bounded.high,
        case when bounded.width is null then 0e0 else bounded.n_reference * (bounded.high - bounded.origin) - bounded.reference_sum end as reference_area,
        case when bounded.width is null then 0e0 else bounded.n_current * (bounded.high - bounded.origin) - bounded.current_sum end as current_area,
        sum(bounded.n_reference) {{ over_sorted('bounded.unit, bounded.input, bounded.position', is_running=true) }} as reference_end,
        sum(bounded.n_current) {{ over_sorted('bounded.unit, bounded.input, bounded.position', is_running=true) }} as current_end,
        lead(bounded.low) {{ over_sorted('bounded.unit, bounded.input, bounded.position') }} as next_low
    from bounded
),

stepped as (
    select
        ordered.unit,
        ordered.input,
        ordered.position,
        ordered.n_reference,
        ordered.n_current,
        ordered.tenth,
        ordered.width,
        ordered.low,
        ordered.high,
        ordered.reference_area,
        ordered.current_area,
        ordered.next_low,
        starts.reference_total,
        starts.current_total,
        ordered.reference_end - starts.reference_before as reference_end,
        ordered.current_end - starts.current_before as current_end,
        ordered.reference_end - starts.reference_before - ordered.n_reference as reference_start,
        ordered.current_end - starts.current_before - ordered.n_current as current_start
    from ordered
    inner join starts
        on ordered.unit = starts.unit
        and ordered.input = starts.input
),

spanned as {{ materialized() }} (
    select
        stepped.unit,
        stepped.input,
        stepped.position,
        stepped.n_reference,
        stepped.n_current,
        stepped.tenth,
        stepped.width,
        stepped.low,
        stepped.high,
        stepped.next_low,
        stepped.reference_total,
        stepped.current_total,
        stepped.reference_start,
        stepped.current_start,
        stepped.reference_end / stepped.reference_total - stepped.current_end / stepped.current_total as end_gap,
        stepped.reference_start / stepped.reference_total - stepped.current_end / stepped.current_total as least_gap,
        stepped.reference_end / stepped.reference_total - stepped.current_start / stepped.current_total as greatest_gap,
        (stepped.reference_start * (stepped.high - stepped.low) + stepped.reference_area) / stepped.reference_total
            - (stepped.current_start * (stepped.high - stepped.low) + stepped.current_area) / stepped.current_total as area
    from stepped
),

peaks as (
    select
        spanned.unit,
        spanned.input,
        max(abs(spanned.end_gap)) as gap
    from spanned
    group by
        spanned.unit,
        spanned.input
)

select
    spanned.unit,
    spanned.input,
    spanned.position,
    spanned.tenth,
    spanned.n_reference,
    spanned.n_current,
    spanned.low,
    spanned.high,
    spanned.next_low,
    spanned.reference_total,
    spanned.current_total,
    spanned.reference_start,
    spanned.current_start,
    spanned.end_gap,
    spanned.area,
    coalesce(
        spanned.width is not null and (
            (spanned.least_gap < 0e0 and spanned.greatest_gap > 0e0)
            -- With rows of one side alone the difference only falls, or only rises.
            or (
                spanned.n_reference > 0e0
                and spanned.n_current > 0e0
                and greatest(-spanned.least_gap, spanned.greatest_gap) > peaks.gap
            )
            -- Its rows are divided among two tenths.
            or edges.cell is not null
        ),
        false
    ) as is_open
from spanned
inner join peaks
    on spanned.unit = peaks.unit
    and spanned.input = peaks.input
left join (
    select distinct
        tenth_edges.input,
        tenth_edges.cell
    from wml_drift_edges as tenth_edges
) as edges
    on spanned.input = edges.input
    and spanned.position = edges.cell
