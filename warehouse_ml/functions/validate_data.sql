-- grain: one row per input, in the order of the columns
-- unit:  value and threshold in [0, 1]
-- null:  value and is_anomaly where one of the two sides has no row
{% set has_edges = numeric and n_buckets > 1 %}
{# The bucket of a value by halves: the first one from `low` to `high` whose upper edge the value does not exceed. #}
{% macro bucket(value, edges, low, high) %}
{% if low == high %}'{{ low }}'{% else %}
{% set middle = (low + high) // 2 %}
case when {{ value }} <= {{ element(edges, middle) }} then {{ bucket(value, edges, low, middle) }} else {{ bucket(value, edges, middle + 1, high) }} end
{%- endif %}
{% endmacro %}
with wml_base as (
{{ base }}
),

wml_study as (
{{ study }}
),

base_inputs as (
    select
        {% for input in columns %}
        {{ input.base }} as {{ input.column }}{% if not loop.last %},{% endif %}

        {% endfor %}
    from wml_base
),

study_inputs as (
    select
        {% for input in columns %}
        {{ input.study }} as {{ input.column }}{% if not loop.last %},{% endif %}

        {% endfor %}
    from wml_study
),

{% if has_edges %}
cuts as (
    select
        {% for input in numeric %}
        {{ quantiles('base_inputs.' ~ input.column, n_buckets) }} as {{ input.column }}{% if not loop.last %},{% endif %}

        {% endfor %}
    from base_inputs
),

{% endif %}
bucketed as (
    {% for side in ['base', 'study'] %}
    select
        {{ loop.index0 }} as is_study,
        {% for input in columns %}
        {% if input.is_numeric %}
        case
            when {{ side }}_inputs.{{ input.column }} is not null
                then {{ bucket(side ~ '_inputs.' ~ input.column, 'cuts.' ~ input.column, 1, n_buckets) | trim }}
        end as {{ input.column }}{% if not loop.last %},{% endif %}

        {% else %}
        {{ side }}_inputs.{{ input.column }}{% if not loop.last %},{% endif %}

        {% endif %}
        {% endfor %}
    from {{ side }}_inputs
    {% if has_edges %}
    cross join cuts
    {% endif %}
    {% if not loop.last %}
    union all
    {% endif %}
    {% endfor %}
),

counted as (
    select
        long.input,
        long.bucket,
        {{ as_double('sum(1 - long.is_study)') }} as n_base,
        {{ as_double('sum(long.is_study)') }} as n_study
    from bucketed unpivot include nulls (
        bucket for input in ({% for input in columns %}{{ input.column }}{% if not loop.last %}, {% endif %}{% endfor %})
    ) as long
    group by
        long.input,
        long.bucket
),

shares as (
    select
        counted.input,
        {{ safe_divide('counted.n_base', 'sum(counted.n_base) over (partition by counted.input)') }} as expected,
        {{ safe_divide('counted.n_study', 'sum(counted.n_study) over (partition by counted.input)') }} as observed
    from counted
),

distances as (
    select
        shares.input,
        {{ jensen_shannon('shares.expected', 'shares.observed') }} as jensen_shannon_divergence,
        max(abs(shares.expected - shares.observed)) as l_infty
    from shares
    where shares.expected is not null
        and shares.observed is not null
    group by shares.input
),

inputs as (
    {% for input in columns %}
    select
        {{ loop.index }} as place,
        '{{ input.column }}' as input,
        {{ input.name | literal }} as name,
        {{ input.metric | literal }} as metric,
        {{ input.threshold | literal }} as threshold
    {% if not loop.last %}
    union all
    {% endif %}
    {% endfor %}
),

measured as (
    select
        inputs.place,
        inputs.name,
        inputs.metric,
        inputs.threshold,
        case
            when inputs.metric = 'L_INFTY' then distances.l_infty
            -- Rounding can leave a divergence of nothing a hair below 0.
            when distances.jensen_shannon_divergence < 0 then 0e0
            else distances.jensen_shannon_divergence
        end as value
    from inputs
    left join distances
        on inputs.input = distances.input
)

select
    measured.name as input,
    measured.metric,
    measured.threshold,
    measured.value,
    measured.value > measured.threshold as is_anomaly
from measured
order by measured.place
