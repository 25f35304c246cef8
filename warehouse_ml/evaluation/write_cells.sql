-- grain: one row per evaluation_id, combination of all slice columns, label, prediction and bin of the score
-- unit:  n_* count rows, the others are weighted sums, in the label's unit and its square
-- null:  what the task has not: label, prediction and bin of a regression, bin and sums of many classes
-- A unit of too many cells is left out: they would be a second log.
insert into {{ 'metric_cells' | wml }} (
    evaluation_id,
    evaluation,
    model,
    version,
    window_start,
    window_end,
    as_of,
    task,
    slices,
    label,
    prediction,
    bin,
    n_rows,
    n_labelled,
    n_scored,
    weight,
    weight_squares,
    sum_score,
    sum_label,
    sum_log_loss,
    sum_squared_error,
    sum_absolute_error,
    sum_error,
    sum_squared_log_error,
    n_logarithms,
    label_spread,
    is_weighted,
    min_slice_size
)
{% set rows = 'cells.n_requests' if task == 'regression' else 'cells.n_rows' %}
with units as (
    select
        cells.unit,
        count(*) as n_cells,
        sum({{ rows }}) as n_rows
    from wml_cells as cells
    group by cells.unit
)

select
    due.evaluation_id,
    {{ param('evaluation') }} as evaluation,
    {{ param('model') }} as model,
    due.version,
    due.window_start,
    due.window_end,
    {{ param('as_of') }} as as_of,
    {{ task | literal }} as task,
    {{ json_text(fields) }} as slices,
    {% if task == 'regression' %}
    {{ as_string('null') }} as label,
    {{ as_string('null') }} as prediction,
    null as bin,
    cells.n_requests as n_rows,
    cells.n_labelled,
    cells.n_rows as n_scored,
    cells.weight,
    cells.weight_squares,
    cells.prediction + cells.centre * cells.weight as sum_score,
    cells.label + cells.centre * cells.weight as sum_label,
    null as sum_log_loss,
    cells.error_squares as sum_squared_error,
    cells.absolute_error as sum_absolute_error,
    cells.error as sum_error,
    cells.log_error_squares as sum_squared_log_error,
    cells.n_logarithms,
    -- Around the cell's own mean, so that cells of other windows add up; what is left of rounding is no spread.
    case
        when cells.label_squares - cells.label * cells.label / nullif(cells.weight, 0e0) > 1e-14 * cells.label_squares
            then cells.label_squares - cells.label * cells.label / nullif(cells.weight, 0e0)
        else 0e0
    end as label_spread,
    {% else %}
    {% if task == 'binary' %}
    {{ as_string(as_int('cells.label')) }} as label,
    {{ as_string(as_int('cells.prediction')) }} as prediction,
    {{ as_int('cells.bin') }} as bin,
    {% else %}
    cells.label,
    cells.prediction,
    null as bin,
    {% endif %}
    cells.n_rows,
    case when cells.label is not null then cells.n_rows else 0 end as n_labelled,
    {% if task == 'binary' %}
    case when cells.bin is not null then cells.n_scored else 0 end as n_scored,
    {% else %}
    case when cells.label is not null and cells.prediction is not null then cells.n_rows else 0 end as n_scored,
    {% endif %}
    cells.weight,
    cells.weight_squares,
    {% if task == 'binary' %}
    cells.score as sum_score,
    cells.weight * cells.label as sum_label,
    cells.loss as sum_log_loss,
    cells.brier as sum_squared_error,
    {% else %}
    null as sum_score,
    null as sum_label,
    null as sum_log_loss,
    null as sum_squared_error,
    {% endif %}
    null as sum_absolute_error,
    null as sum_error,
    null as sum_squared_log_error,
    null as n_logarithms,
    null as label_spread,
    {% endif %}
    {{ 'true' if columns.has_weight else 'false' }} as is_weighted,
    {{ param('min_slice_size') }} as min_slice_size
from wml_cells as cells
inner join units
    on cells.unit = units.unit
inner join wml_due as due
    on cells.unit = due.unit
where units.n_cells <= greatest({{ most_cells }}, units.n_rows / 10e0)
