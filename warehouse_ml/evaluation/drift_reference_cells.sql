-- grain: one row per column of the reference and bucket of texts or nulls, or cell of numbers
-- unit:  n_rows counts rows; number_sum is over them, from the start of the tenth, so that little is lost where numbers are
--        large and lie close together
-- null:  text of numbers and of nulls; cell and all that is of cells for what is no number
{{ create_scratch('wml_drift_reference_cells') }}
select
    reference.unit,
    reference.input,
    reference.text,
    reference.cell,
    min(reference.low) as low,
    min(reference.number) as lowest,
    max(reference.number) as highest,
    sum(reference.n_rows) as n_rows,
    sum(reference.n_rows * (reference.number - reference.low)) as number_sum
from wml_drift_reference as reference
group by
    reference.unit,
    reference.input,
    reference.text,
    reference.cell
