-- grain: one row per profile, column of a reference, and number; and one per bucket, which is a tenth, a text or null
-- unit:  tenth is 1 to 10, by the reference rows below the number; n_rows counts rows
-- null:  number of a bucket; tenth and text of the bucket of what is null or not finite
{% if is_kept %}
insert into {{ 'drift_profiles' | wml }} (
    profile,
    as_of,
    input,
    number,
    text,
    tenth,
    n_rows
)
{% else %}
{{ create_scratch('wml_drift_values') }}
{% endif %}
with counted as (
    select
        listed.input,
        listed.number,
        listed.text,
        listed.n_rows,
        sum(listed.n_rows) over (
            partition by listed.input, listed.number is null
            order by listed.number
            rows between unbounded preceding and current row
        ) as n_reached,
        sum(listed.n_rows) over (partition by listed.input, listed.number is null) as n_numbers
    from wml_drift_listed as listed
),

placed as (
    select
        counted.input,
        counted.number,
        counted.text,
        -- A number belongs to the first tenth whose end it does not exceed.
        case
            when counted.number is not null
                then {{ as_int('floor(10e0 * (counted.n_reached - counted.n_rows) / counted.n_numbers)') }} + 1
        end as tenth,
        {{ as_int('counted.n_rows') }} as n_rows
    from counted
),

kept as (
    select
        placed.input,
        placed.number,
        {{ as_string('null') }} as text,
        placed.tenth,
        placed.n_rows
    from placed
    where placed.number is not null
    union all
    select
        placed.input,
        {{ as_double('null') }} as number,
        placed.text,
        placed.tenth,
        {{ as_int('sum(placed.n_rows)') }} as n_rows
    from placed
    group by
        placed.input,
        placed.text,
        placed.tenth
)

select
    {{ param('profile') }} as profile,
    {{ param('as_of') if is_kept else as_int('null') }} as as_of,
    kept.input,
    kept.number,
    kept.text,
    kept.tenth,
    kept.n_rows
from kept
{% if is_kept %}
-- Rows that lie in their order are sorted again in less time.
order by
    kept.input,
    kept.number
{% endif %}
