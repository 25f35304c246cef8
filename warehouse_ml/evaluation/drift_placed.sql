-- grain: as drift_long.sql; where values are counted, one row per unit, column and value
-- unit:  cell is 10000 times the tenth of the reference, and up to n_cells in the order of the numbers; low is where
--        the tenth begins
-- null:  cell and low of what is no number; low where no number is in the reference
-- Subtraction, multiplication and floor keep the order of doubles, so that a cell's numbers lie together.
{{ create_scratch(table) }}
with bucketed as (
    select
        long_rows.unit,
        long_rows.input,
        long_rows.number,
        long_rows.text,
        long_rows.n_rows,
        case
            {% for edge in range(1, 10) %}
            when long_rows.number <= edges.edge_{{ edge }} then {{ edge }}
            {% endfor %}
            when long_rows.number is not null then 10
        end as tenth
    from wml_drift_long as long_rows
    left join wml_drift_edges as edges
        on long_rows.input = edges.input
        and edges.tenth = 1
)

select
    bucketed.unit,
    bucketed.input,
    bucketed.number,
    bucketed.text,
    edges.low,
    bucketed.tenth * 10000 + case
        when edges.high > edges.low then
            {{ as_int('greatest(0e0, least(edges.n_cells - 1e0, floor((bucketed.number - edges.low) * (edges.n_cells / (edges.high - edges.low)))))') }}
        else 0
    end as cell,
    {{ as_int('sum(bucketed.n_rows)') if is_counted else 'bucketed.n_rows' }} as n_rows
from bucketed
left join wml_drift_edges as edges
    on bucketed.input = edges.input
    and bucketed.tenth = edges.tenth
{% if is_counted %}
group by
    bucketed.unit,
    bucketed.input,
    bucketed.number,
    bucketed.text,
    bucketed.tenth,
    edges.low,
    edges.high,
    edges.n_cells
{% endif %}
