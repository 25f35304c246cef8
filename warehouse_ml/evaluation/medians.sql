-- grain: one row per unit and slice in which a label is known; regression
-- unit:  the label's
-- null:  none
-- The weighted median: the mean of the first error at which half of the weight is reached, and the first at which it
-- is passed. Equal weights give the plain median.
{{ create_scratch('wml_medians') }}
with sliced as (
    {% for slice in slices %}
    select
        request_rows.unit,
        {{ loop.index0 }} as slice_set,
        {{ slice_text(slice.names) }} as slice_value,
        abs(request_rows.prediction - request_rows.label) as absolute_error,
        request_rows.weight
    from wml_rows as request_rows
    where request_rows.label is not null
        and request_rows.prediction is not null
    {% if not loop.last %}
    union all
    {% endif %}
    {% endfor %}
),

summed as (
    select
        sliced.unit,
        sliced.slice_set,
        sliced.slice_value,
        sliced.absolute_error,
        sum(sliced.weight) over (
            partition by sliced.unit, sliced.slice_set, sliced.slice_value
            order by sliced.absolute_error
            rows between unbounded preceding and current row
        ) as weight_so_far,
        sum(sliced.weight) over (partition by sliced.unit, sliced.slice_set, sliced.slice_value) as weight
    from sliced
)

select
    summed.unit,
    summed.slice_set,
    summed.slice_value,
    (
        min(case when summed.weight_so_far >= summed.weight / 2e0 then summed.absolute_error end)
        + min(case when summed.weight_so_far > summed.weight / 2e0 then summed.absolute_error end)
    ) / 2e0 as median_absolute_error
from summed
group by
    summed.unit,
    summed.slice_set,
    summed.slice_value
