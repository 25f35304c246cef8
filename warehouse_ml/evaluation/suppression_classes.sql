-- grain: one row per unit, combination of all slice columns and class that a label or a prediction of it is; multiclass
-- unit:  rows with a label and a prediction
-- null:  none
with sides as (
    {% for side in ['label', 'prediction'] %}
    select
        cells.unit,
        {% for name in names %}
        cells.{{ name }},
        {% endfor %}
        cells.{{ side }} as class,
        {{ 'cells.n_rows' if side == 'label' else '0' }} as n_labelled,
        {{ 'cells.n_rows' if side == 'prediction' else '0' }} as n_predicted
    from wml_cells as cells
    where cells.label is not null
        and cells.prediction is not null
    {% if not loop.last %}
    union all
    {% endif %}
    {% endfor %}
)

select
    {{ as_int('sides.unit') }} as unit,
    {% for name in names %}
    sides.{{ name }},
    {% endfor %}
    sides.class,
    {{ as_int('sum(sides.n_labelled)') }} as n_labelled,
    {{ as_int('sum(sides.n_predicted)') }} as n_predicted
from sides
group by
    sides.unit,
    {% for name in names %}
    sides.{{ name }},
    {% endfor %}
    sides.class
order by
    sides.unit,
    {% for name in names %}
    sides.{{ name }},
    {% endfor %}
    sides.class
