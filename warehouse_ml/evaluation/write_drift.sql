-- grain: one row per evaluation_id, reference, input and metric
-- unit:  jensen_shannon_divergence, l_infinity and kolmogorov_smirnov in [0, 1], psi and chi_square from 0 up;
--        wasserstein in the input's unit, wasserstein_standardized in standard deviations of the reference
-- null:  value where there is no row to compare on a side, threshold and is_anomaly where no threshold is usual,
--        p_value but for chi_square
-- An anomaly is a value above the threshold.
insert into {{ 'drift' | wml }} (
    evaluation_id,
    evaluation,
    model,
    version,
    window_start,
    window_end,
    as_of,
    input,
    metric,
    method,
    threshold,
    value,
    is_anomaly,
    n_reference,
    n_current,
    kind,
    reference,
    p_value,
    importance
)
{% if is_listed %}
with known as (
    select
        profiles.input,
        profiles.number,
        profiles.text,
        profiles.tenth,
        {{ as_double('profiles.n_rows') }} as n_rows
    from {{ 'drift_profiles' | wml if is_kept else 'wml_drift_values' }} as profiles
    where profiles.profile = {{ param('profile') }}
),

inputs as (
    select
        told.input,
        told.n_reference,
        told.reference_numbers,
        {% for tenth in range(1, 10) %}
        told.edge_{{ tenth }}{{ '' if loop.last else ',' }}
        {% endfor %}
    from wml_drift_told as told
    where told.metric = 'psi'
),

totals as {{ materialized() }} (
    select
        units.unit,
        inputs.input,
        inputs.n_reference,
        coalesce(sums.n_current, 0e0) as n_current,
        inputs.reference_numbers,
        coalesce(sums.current_numbers, 0e0) as current_numbers
    from inputs
    cross join (
        select distinct listed.unit
        from wml_drift_listed as listed
    ) as units
    left join (
        select
            listed.unit,
            listed.input,
            sum(listed.n_rows) as n_current,
            sum(case when listed.number is not null then listed.n_rows else 0e0 end) as current_numbers
        from wml_drift_listed as listed
        group by
            listed.unit,
            listed.input
    ) as sums
        on units.unit = sums.unit
        and inputs.input = sums.input
),

-- A bucket is a tenth of the numbers, a text, or what is null.
side_buckets as (
    select
        totals.unit,
        known.input,
        known.tenth,
        known.text,
        known.n_rows as n_reference,
        0e0 as n_current
    from known
    inner join totals
        on known.input = totals.input
    where known.number is null
    union all
    select
        listed.unit,
        listed.input,
        case
            {% for tenth in range(1, 10) %}
            when listed.number <= inputs.edge_{{ tenth }} then {{ tenth }}
            {% endfor %}
            when listed.number is not null then 10
        end as tenth,
        listed.text,
        0e0 as n_reference,
        listed.n_rows as n_current
    from wml_drift_listed as listed
    inner join inputs
        on listed.input = inputs.input
),

counted_buckets as (
    select
        side_buckets.unit,
        side_buckets.input,
        sum(side_buckets.n_reference) as n_reference,
        sum(side_buckets.n_current) as n_current
    from side_buckets
    group by
        side_buckets.unit,
        side_buckets.input,
        side_buckets.tenth,
        side_buckets.text
),

-- A reference row is a step up by the number of current rows, a current row one down by that of the reference: whole
-- numbers, whose sum is 0 again at the end of each column. So one running sum is all that the functions need.
points as (
    select
        totals.unit,
        known.input,
        known.number,
        known.n_rows * totals.current_numbers as step,
        totals.reference_numbers * totals.current_numbers as height
    from known
    inner join totals
        on known.input = totals.input
    where known.number is not null
    union all
    select
        listed.unit,
        listed.input,
        listed.number,
        -listed.n_rows * totals.reference_numbers as step,
        totals.reference_numbers * totals.current_numbers as height
    from wml_drift_listed as listed
    inner join totals
        on listed.unit = totals.unit
        and listed.input = totals.input
    where listed.number is not null
),

sorted_points as (
    select
        points.unit,
        points.input,
        points.number,
        points.step,
        points.height
    from points
    {{ sorted_first('points.unit, points.input, points.number') }}
),

stretches as (
    select
        sorted_points.unit,
        sorted_points.input,
        abs(sum(sorted_points.step) {{ over_sorted('sorted_points.unit, sorted_points.input, sorted_points.number', is_running=true) }}) / nullif(sorted_points.height, 0e0) as gap,
        lead(sorted_points.number) {{ over_sorted('sorted_points.unit, sorted_points.input, sorted_points.number') }} - sorted_points.number as width
    from sorted_points
),

distances as (
    select
        stretches.unit,
        stretches.input,
        -- Of equal numbers only the last counts.
        max(case when stretches.width > 0e0 or stretches.gap = 0e0 then stretches.gap end) as kolmogorov_smirnov,
        -- The way to the next column is none: all steps are taken there.
        sum(case when stretches.gap = 0e0 then 0e0 else stretches.gap * stretches.width end) as wasserstein
    from stretches
    group by
        stretches.unit,
        stretches.input
),

{% else %}
with current_units as (
    select distinct counted.unit
    from wml_drift_current_counted as counted
),

{% if has_cells %}
-- The rows up to the end of each tenth, of columns whose numbers stand in cells.
reached as (
    select
        cells.unit,
        cells.input,
        edges.tenth,
        min(cells.reference_start) + case when max(open_cells.place) is null then min(cells.n_reference) else sum(picked.n_reference) end as n_reference,
        min(cells.current_start) + case when max(open_cells.place) is null then min(cells.n_current) else sum(picked.n_current) end as n_current
    from wml_drift_edges as edges
    inner join wml_drift_cells as cells
        on edges.input = cells.input
        and edges.cell = cells.position
    left join wml_drift_open as open_cells
        on cells.unit = open_cells.unit
        and cells.input = open_cells.input
        and edges.cell = open_cells.cell
    left join wml_drift_picked as picked
        on open_cells.place = picked.place
        and picked.number <= edges.edge
    group by
        cells.unit,
        cells.input,
        edges.tenth
    union all
    select
        cells.unit,
        cells.input,
        {{ as_int('10') }} as tenth,
        sum(cells.n_reference) as n_reference,
        sum(cells.n_current) as n_current
    from wml_drift_cells as cells
    where cells.tenth is null
    group by
        cells.unit,
        cells.input
),

tenths as (
    select
        reached.unit,
        reached.input,
        reached.tenth,
        reached.n_reference - coalesce(lag(reached.n_reference) over tenths_in_order, 0e0) as n_reference,
        reached.n_current - coalesce(lag(reached.n_current) over tenths_in_order, 0e0) as n_current
    from reached
    window tenths_in_order as (
        partition by reached.unit, reached.input
        order by reached.tenth
    )
),

{% endif %}
-- A bucket is a tenth of the numbers, a text, or what is null.
side_buckets as (
    select
        cells.unit,
        cells.input,
        cells.tenth,
        {{ as_string('null') }} as text,
        sum(cells.n_reference) as n_reference,
        sum(cells.n_current) as n_current
    from wml_drift_cells as cells
    where cells.tenth is not null
    group by
        cells.unit,
        cells.input,
        cells.tenth
    {% if has_cells %}
    union all
    select
        tenths.unit,
        tenths.input,
        tenths.tenth,
        {{ as_string('null') }} as text,
        tenths.n_reference,
        tenths.n_current
    from tenths
    -- Where values are alike, a tenth may be of none.
    where tenths.n_reference > 0e0
        or tenths.n_current > 0e0
    {% endif %}
    union all
    select
        current_units.unit,
        reference.input,
        {{ as_int('null') }} as tenth,
        reference.text,
        {{ as_double('reference.n_rows') }} as n_reference,
        0e0 as n_current
    from wml_drift_reference_counted as reference
    cross join current_units
    where reference.position is null
    union all
    select
        counted.unit,
        counted.input,
        {{ as_int('null') }} as tenth,
        counted.text,
        0e0 as n_reference,
        {{ as_double('counted.n_rows') }} as n_current
    from wml_drift_current_counted as counted
    where counted.position is null
),

counted_buckets as (
    select
        side_buckets.unit,
        side_buckets.input,
        sum(side_buckets.n_reference) as n_reference,
        sum(side_buckets.n_current) as n_current
    from side_buckets
    group by
        side_buckets.unit,
        side_buckets.input,
        side_buckets.tenth,
        side_buckets.text
),

totals as (
    select
        counted_buckets.unit,
        counted_buckets.input,
        sum(counted_buckets.n_reference) as n_reference,
        sum(counted_buckets.n_current) as n_current
    from counted_buckets
    group by
        counted_buckets.unit,
        counted_buckets.input
),

stretches as (
    select
        cells.unit,
        cells.input,
        abs(cells.end_gap) as gap,
        case when cells.is_open then 0e0 else abs(cells.area) end
            -- After the last number of a column the functions are level.
            + case when cells.end_gap <> 0e0 then abs(cells.end_gap) * (cells.next_low - cells.high) else 0e0 end as area
    from wml_drift_cells as cells
    where cells.end_gap is not null
    {% if has_cells %}
    union all
    select
        walked.unit,
        walked.input,
        walked.gap,
        walked.area
    from wml_drift_walked as walked
    {% endif %}
),

distances as (
    select
        stretches.unit,
        stretches.input,
        max(stretches.gap) as kolmogorov_smirnov,
        sum(stretches.area) as wasserstein
    from stretches
    group by
        stretches.unit,
        stretches.input
),

{% endif %}
shares as (
    select
        counted_buckets.unit,
        counted_buckets.input,
        totals.n_reference,
        totals.n_current,
        {{ safe_divide('counted_buckets.n_reference', 'totals.n_reference') }} as expected,
        {{ safe_divide('counted_buckets.n_current', 'totals.n_current') }} as observed
    from counted_buckets
    inner join totals
        on counted_buckets.unit = totals.unit
        and counted_buckets.input = totals.input
),

divergences as (
    select
        shares.unit,
        shares.input,
        max(shares.n_reference) as n_reference,
        max(shares.n_current) as n_current,
        count(*) - 1 as freedom,
        -- Rounding can leave a divergence of nothing a hair below 0.
        greatest(0e0, {{ jensen_shannon('shares.expected', 'shares.observed') }}) as jensen_shannon_divergence,
        max(abs(shares.expected - shares.observed)) as l_infinity,
        sum(
            (greatest(shares.observed, 1e-4) - greatest(shares.expected, 1e-4))
            * (ln(greatest(shares.observed, 1e-4)) - ln(greatest(shares.expected, 1e-4)))
        ) as psi,
        -- Pearson's statistic of two rows of counts, written with shares.
        sum(
            (shares.expected - shares.observed) * (shares.expected - shares.observed)
            / (shares.n_reference * shares.expected + shares.n_current * shares.observed)
        ) * max(shares.n_reference) * max(shares.n_current) as chi_square
    from shares
    group by
        shares.unit,
        shares.input
),

measured as (
    select
        divergences.unit,
        divergences.input,
        divergences.n_reference,
        divergences.n_current,
        divergences.freedom,
        divergences.jensen_shannon_divergence,
        divergences.l_infinity,
        divergences.psi,
        divergences.chi_square,
        distances.kolmogorov_smirnov,
        distances.wasserstein,
        -- Divided below; to some engines a column is the same under any name, and is not unpivoted twice.
        distances.wasserstein + 0e0 as wasserstein_standardized
    from divergences
    left join distances
        on divergences.unit = distances.unit
        and divergences.input = distances.input
),

scored as (
    select
        metric_values.unit,
        metric_values.input,
        metric_values.metric,
        metric_values.n_reference,
        metric_values.n_current,
        metric_values.freedom,
        case when metric_values.n_reference > 0 and metric_values.n_current > 0 then metric_values.value end as value,
        case
            when metric_values.metric = 'chi_square' and metric_values.n_reference > 0 and metric_values.n_current > 0
                then metric_values.value
        end as chi_square
    from measured unpivot include nulls (
        value for metric in (
            psi, jensen_shannon_divergence, l_infinity, chi_square, kolmogorov_smirnov, wasserstein, wasserstein_standardized
        )
    ) as metric_values
),

tested as (
    select
        scored.unit,
        scored.input,
        scored.metric,
        scored.n_reference,
        scored.n_current,
        scored.freedom,
        scored.value,
        {{ chi_square_upper_tail('scored.chi_square', 'scored.freedom') }} as p_value
    from scored
),

valued as (
    select
        tested.unit,
        tested.metric,
        tested.n_reference,
        tested.n_current,
        tested.freedom,
        told.name,
        told.part,
        told.importance,
        told.method,
        told.threshold,
        {{ finite(safe_divide('tested.value', 'told.divisor')) }} as value,
        tested.p_value
    from tested
    inner join wml_drift_told as told
        on tested.input = told.input
        and tested.metric = told.metric
)

select
    due.evaluation_id,
    {{ param('evaluation') }} as evaluation,
    {{ param('model') }} as model,
    due.version,
    due.window_start,
    due.window_end,
    {{ param('as_of') }} as as_of,
    valued.name as input,
    valued.metric,
    valued.method || case when valued.metric = 'chi_square' then {{ as_string('valued.freedom') }} else '' end as method,
    valued.threshold,
    valued.value,
    valued.value > valued.threshold as is_anomaly,
    {{ as_int('valued.n_reference') }} as n_reference,
    {{ as_int('valued.n_current') }} as n_current,
    valued.part as kind,
    {{ reference | literal }} as reference,
    valued.p_value,
    valued.importance
from valued
inner join wml_due as due
    on valued.unit = due.unit
