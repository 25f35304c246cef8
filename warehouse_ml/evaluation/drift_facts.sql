-- grain: one row per column of a profile
-- unit:  edge_i is the value that i tenths of the numbers do not exceed, stddev divides by n; both in the column's own unit
-- null:  edges and stddev of a column without a number
with tenths as (
    select
        profiles.input,
        count(*) as n_values,
        sum(case when profiles.number is null then profiles.n_rows else 0 end) as n_rows,
        sum(case when profiles.number is not null then profiles.n_rows else 0 end) as n_numbers,
        {% for tenth in range(1, 10) %}
        max(case when profiles.tenth <= {{ tenth }} then profiles.number end) as edge_{{ tenth }}{{ '' if loop.last else ',' }}
        {% endfor %}
    from {{ 'drift_profiles' | wml if is_kept else 'wml_drift_values' }} as profiles
    where profiles.profile = {{ param('profile') }}
    group by profiles.input
),

-- Squares are added up from the middle, which is never farther than a standard deviation from the mean: little is lost.
moments as (
    select
        tenths.input,
        sum(profiles.n_rows * (profiles.number - tenths.edge_5)) / max(tenths.n_numbers) as shift,
        sum(profiles.n_rows * (profiles.number - tenths.edge_5) * (profiles.number - tenths.edge_5)) / max(tenths.n_numbers) as squares
    from {{ 'drift_profiles' | wml if is_kept else 'wml_drift_values' }} as profiles
    inner join tenths
        on profiles.input = tenths.input
    where profiles.profile = {{ param('profile') }}
        and profiles.number is not null
    group by tenths.input
)

select
    tenths.input,
    {{ as_int('tenths.n_values') }} as n_values,
    {{ as_int('tenths.n_rows') }} as n_rows,
    {{ as_int('tenths.n_numbers') }} as n_numbers,
    {% for tenth in range(1, 10) %}
    tenths.edge_{{ tenth }},
    {% endfor %}
    sqrt(greatest(0e0, moments.squares - moments.shift * moments.shift)) as stddev
from tenths
left join moments
    on tenths.input = moments.input
