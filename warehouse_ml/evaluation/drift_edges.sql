-- grain: one row per numeric column and tenth of the reference, 1 to 10
-- unit:  the column's own; edges as edge_1 to edge_9 in each row, edge i being the value that i tenths of the reference
--        rows do not exceed; low and high are where the tenth begins and ends; stddev divides by n
-- null:  none; a column that is null or not finite in every reference row has no row
-- n_cells is how many cells a tenth is cut into: about one for a hundred rows, so that few cells are left in which two
-- alike may cross, and few rows in each.
{{ create_scratch('wml_drift_edges') }}
with cuts as (
    select
        reference.input,
        {{ quantiles('reference.number', 10) }} as edges,
        min(reference.number) as lowest,
        max(reference.number) as highest,
        stddev_pop(reference.number) as stddev,
        count(reference.number) as n_rows
    from wml_drift_long as reference
    where reference.number is not null
    group by reference.input
)

select
    cuts.input,
    tenths.tenth,
    cuts.stddev,
    floor(greatest(16e0, least(2000e0, cuts.n_rows / 1000e0))) as n_cells,
    cuts.n_rows,
    case when tenths.tenth = 1 then cuts.lowest else {{ element('cuts.edges', 'tenths.tenth - 1') }} end as low,
    case when tenths.tenth = 10 then cuts.highest else {{ element('cuts.edges', 'tenths.tenth') }} end as high,
    {% for edge in range(1, 10) %}
    {{ element('cuts.edges', edge) }} as edge_{{ edge }}{% if not loop.last %},{% endif %}

    {% endfor %}
from cuts
cross join (
    {% for tenth in range(1, 11) %}
    select {{ tenth }} as tenth{% if not loop.last %} union all{% endif %}

    {% endfor %}
) as tenths
