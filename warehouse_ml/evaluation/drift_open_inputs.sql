-- The columns with a cell that has to be looked into.
select distinct open_cells.input
from wml_drift_open as open_cells
order by open_cells.input
