-- grain: one row per unit and slice in which a label is known; regression
-- unit:  the label's
-- null:  median_absolute_error where all weights are 0; its bounds also over too few rows
-- The weighted median: the mean of the first error at which half of the weight is reached, and the first at which it
-- is passed. Equal weights give the plain median. Its bounds are errors that occur: those of the ranks between which
-- the median of the population lies, as each row is as likely above it as below; with weights, of their sums (Woodruff,
-- 1952). The normal ranks are the binomial ones or one further out.
{{ create_scratch('wml_medians') }}
with slices as (
    select
        moments.unit,
        moments.slice_set,
        moments.slice_value,
        {{ as_double('moments.weight') }} as weight,
        {% if columns.has_weight %}
        moments.weight / 2e0 - 0.979981992270027e0 * sqrt(moments.weight_squares) as lower_at,
        moments.weight / 2e0 + 0.979981992270027e0 * sqrt(moments.weight_squares) as upper_at,
        {% else %}
        floor((moments.n_rows + 1) / 2e0 - 0.979981992270027e0 * sqrt(moments.n_rows)) as lower_at,
        moments.n_rows + 1 - floor((moments.n_rows + 1) / 2e0 - 0.979981992270027e0 * sqrt(moments.n_rows)) as upper_at,
        {% endif %}
        row_number() over (order by moments.unit, moments.slice_set, moments.slice_value) as slice_id
    from wml_moments as moments
    where moments.n_rows > 0
),

-- One number for a slice: windows over it cost half of those over its names.
members as (
    {% for slice in slices %}
    select
        combinations.combination,
        slices.slice_set,
        slices.slice_id
    from wml_combinations as combinations
    inner join slices
        on combinations.unit = slices.unit
        and slices.slice_set = {{ slice.index }}
        and slices.slice_value = {{ slice_text(slice.names) }}
    {% if not loop.last %}
    union all
    {% endif %}
    {% endfor %}
),

sliced as (
    {% for slice in slices %}
    select
        members.slice_id,
        abs(request_rows.prediction - request_rows.label) as absolute_error,
        {{ row_weight }} as weight
    from wml_rows as request_rows
    inner join members
        on request_rows.combination = members.combination
        and members.slice_set = {{ slice.index }}
    where request_rows.label is not null
        and request_rows.prediction is not null
    {% if not loop.last %}
    union all
    {% endif %}
    {% endfor %}
),

summed as (
    select
        sliced.slice_id,
        sliced.absolute_error,
        {% if columns.has_weight %}
        sum(sliced.weight) over (
            partition by sliced.slice_id
            order by sliced.absolute_error
            rows between unbounded preceding and current row
        ) as weight_so_far
        {% else %}
        row_number() over (partition by sliced.slice_id order by sliced.absolute_error) as weight_so_far
        {% endif %}
    from sliced
),

found as (
    select
        slices.unit,
        slices.slice_set,
        slices.slice_value,
        (
            min(case when summed.weight_so_far >= slices.weight / 2e0 then summed.absolute_error end)
            + min(case when summed.weight_so_far > slices.weight / 2e0 then summed.absolute_error end)
        ) / 2e0 as median_absolute_error,
        min(case when slices.lower_at > 0 and summed.weight_so_far >= slices.lower_at then summed.absolute_error end) as ci_lower,
        min(case when slices.lower_at > 0 and summed.weight_so_far >= slices.upper_at then summed.absolute_error end) as ci_upper
    from summed
    inner join slices
        on summed.slice_id = slices.slice_id
    group by
        slices.unit,
        slices.slice_set,
        slices.slice_value
)

select
    found.unit,
    found.slice_set,
    found.slice_value,
    found.median_absolute_error,
    found.ci_lower,
    found.ci_upper
from found
