-- grain: one row per number of the cells that have to be looked into, in no order, and one that begins each cell
-- unit:  place is that of the cell; n_reference and n_current are 1 and 0, or 0 and 1; both are 0 in the row that begins a cell
-- null:  none
{{ create_scratch('wml_drift_picked') }}
select
    open_cells.place,
    open_cells.low as number,
    0e0 as n_reference,
    0e0 as n_current
from wml_drift_open as open_cells
{% for column in reference %}
union all
select
    open_cells.place,
    reference_rows.{{ column.column }} as number,
    1e0 as n_reference,
    0e0 as n_current
from {{ column.rows }} as reference_rows
inner join wml_drift_open as open_cells
    on reference_rows.cell_{{ column.index }} = open_cells.cell
    and open_cells.input = {{ column.index }}
{% endfor %}
{% for column in current %}
union all
select
    open_cells.place,
    current_rows.{{ column.column }} as number,
    0e0 as n_reference,
    1e0 as n_current
from {{ column.rows }} as current_rows
inner join wml_drift_open as open_cells
    on current_rows.cell_{{ column.index }} = open_cells.cell
    {% if unit is none %}
    and current_rows.unit = open_cells.unit
    {% endif %}
    and open_cells.input = {{ column.index }}
{% endfor %}
