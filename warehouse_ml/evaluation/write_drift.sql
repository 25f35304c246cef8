-- grain: one row per evaluation_id, input, metric
-- unit:  jensen_shannon_divergence and l_infinity in [0, 1], psi from 0 up
-- null:  value where there is no reference row
-- Thresholds: 0.3 is BigQuery's for the first two, 0.2 the usual one for psi. An anomaly is a value above it.
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
    n_current
)
with current_units as (
    select distinct counted.unit
    from wml_drift_current as counted
),

paired as (
    select
        current_units.unit,
        reference.input,
        reference.bucket,
        reference.n_rows as n_reference,
        0 as n_current
    from wml_drift_reference as reference
    cross join current_units
    union all
    select
        counted.unit,
        counted.input,
        counted.bucket,
        0 as n_reference,
        counted.n_rows as n_current
    from wml_drift_current as counted
),

buckets as (
    select
        paired.unit,
        paired.input,
        paired.bucket,
        sum(paired.n_reference) as n_reference,
        sum(paired.n_current) as n_current
    from paired
    group by
        paired.unit,
        paired.input,
        paired.bucket
),

shares as (
    select
        buckets.unit,
        buckets.input,
        sum(buckets.n_reference) over (partition by buckets.unit, buckets.input) as n_reference,
        sum(buckets.n_current) over (partition by buckets.unit, buckets.input) as n_current,
        {{ safe_divide('buckets.n_reference', 'sum(buckets.n_reference) over (partition by buckets.unit, buckets.input)') }} as expected,
        {{ safe_divide('buckets.n_current', 'sum(buckets.n_current) over (partition by buckets.unit, buckets.input)') }} as observed
    from buckets
),

distances as (
    select
        shares.unit,
        shares.input,
        max(shares.n_reference) as n_reference,
        max(shares.n_current) as n_current,
        {{ jensen_shannon('shares.expected', 'shares.observed') }} as jensen_shannon_divergence,
        max(abs(shares.expected - shares.observed)) as l_infinity,
        sum(
            (
                case when shares.observed < 1e-4 then 1e-4 else shares.observed end
                - case when shares.expected < 1e-4 then 1e-4 else shares.expected end
            ) * (
                ln(case when shares.observed < 1e-4 then 1e-4 else shares.observed end)
                - ln(case when shares.expected < 1e-4 then 1e-4 else shares.expected end)
            )
        ) as psi
    from shares
    group by
        shares.unit,
        shares.input
),

measured as (
    select
        distances.unit,
        case distances.input
            {% for input in columns %}
            when '{{ input.column }}' then {{ input.name | literal }}
            {% endfor %}
        end as input,
        metric_names.metric,
        case when distances.input in ({% for input in numeric %}'{{ input.column }}', {% endfor %}'')
            then '10 quantile bins of the reference and one of nulls'
            else 'one bin a value and one of nulls'
        end as bins,
        distances.n_reference,
        distances.n_current,
        case
            when distances.n_reference = 0 then null
            when metric_names.metric = 'psi' then distances.psi
            when metric_names.metric = 'l_infinity' then distances.l_infinity
            -- Rounding can leave a divergence of nothing a hair below 0.
            when distances.jensen_shannon_divergence < 0 then 0e0
            else distances.jensen_shannon_divergence
        end as value
    from distances
    cross join {{ names_table('metric', ['jensen_shannon_divergence', 'l_infinity', 'psi']) }} as metric_names
    where metric_names.metric = 'psi'
        or metric_names.metric = case
            when distances.input in ({% for input in numeric %}'{{ input.column }}', {% endfor %}'') then 'jensen_shannon_divergence'
            else 'l_infinity'
        end
)

select
    due.evaluation_id,
    {{ param('evaluation') }} as evaluation,
    {{ param('model') }} as model,
    due.version,
    due.window_start,
    due.window_end,
    {{ param('as_of') }} as as_of,
    measured.input,
    measured.metric,
    measured.bins || case measured.metric
        when 'psi' then '; natural logarithm; shares of rows, at least 0.0001 each'
        when 'l_infinity' then '; largest difference of shares of rows'
        else '; logarithm to base 2; shares of rows'
    end as method,
    case measured.metric when 'psi' then 0.2e0 else 0.3e0 end as threshold,
    measured.value,
    measured.value > case measured.metric when 'psi' then 0.2e0 else 0.3e0 end as is_anomaly,
    {{ as_int('measured.n_reference') }} as n_reference,
    {{ as_int('measured.n_current') }} as n_current
from measured
inner join wml_due as due
    on measured.unit = due.unit
