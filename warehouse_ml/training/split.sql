-- grain: one row per training row, each marked train, eval or test
-- unit:  wml_row_hash in [0, 2^60); the same row has the same hash on every engine
-- null:  a row whose split column is null is held out (eval)
create or replace temp table {{ target | ident }} as
with hashed as (
    select
{% for column in columns %}
        training_rows.{{ column | ident }},
{% endfor %}
        {{ hash_int(row_text(quoted_columns)) }} as wml_row_hash
    from {{ relation | ident }} as training_rows
),

{% if method == 'AUTO_SPLIT' and not is_tuned %}
-- The rows with the lowest hashes are held out. Only the last of them is looked for, because numbering whole rows costs
-- more than hashing them.
counted as (
    select
        -- Under 500 rows all train, up to 50,000 one in five is held out, above that 10,000 rows are.
        case
            when count(*) < 500 then 0
            when count(*) <= 50000 then {{ as_int('floor(count(*) / 5e0)') }}
            else 10000
        end as n_held_out
    from hashed
),

numbered as (
    select
        hashed.wml_row_hash,
        row_number() over (order by hashed.wml_row_hash asc) as position
    from hashed
),

last_held_out as (
    select
        coalesce(max(numbered.wml_row_hash), -1) as row_hash,
        coalesce(max(numbered.position), 0) as position
    from numbered
    inner join counted on numbered.position <= counted.n_held_out
),

-- Equal rows, of which some may have to be on either side.
equal_to_last as (
    select
        hashed.*,
        row_number() over (order by hashed.wml_row_hash asc) as position
    from hashed
    inner join last_held_out on hashed.wml_row_hash = last_held_out.row_hash
),

lower_than_last as (
    select count(*) as n_rows
    from hashed
    inner join last_held_out on hashed.wml_row_hash < last_held_out.row_hash
),

placed as (
    select
{% for column in columns %}
        hashed.{{ column | ident }},
{% endfor %}
        hashed.wml_row_hash,
        hashed.wml_row_hash < last_held_out.row_hash as is_held_out
    from hashed
    inner join last_held_out on hashed.wml_row_hash <> last_held_out.row_hash
    union all
    select
{% for column in columns %}
        equal_to_last.{{ column | ident }},
{% endfor %}
        equal_to_last.wml_row_hash,
        equal_to_last.position + lower_than_last.n_rows <= last_held_out.position as is_held_out
    from equal_to_last
    cross join lower_than_last
    cross join last_held_out
)
{% elif method in ('AUTO_SPLIT', 'SEQ') %}
counted as (
    select count(*) as n_rows
    from hashed
),

placed as (
    select
{% for column in columns %}
        hashed.{{ column | ident }},
{% endfor %}
        hashed.wml_row_hash,
        counted.n_rows,
        row_number() over (
            order by
{% if method == 'SEQ' %}
                -- The latest rows are held out; rows without a time count as latest.
                hashed.{{ column_name | ident }} asc nulls last,
{% endif %}
                hashed.wml_row_hash asc
        ) as position
    from hashed
    cross join counted
)
{% else %}
placed as (
    select
{% for column in columns %}
        hashed.{{ column | ident }},
{% endfor %}
        hashed.wml_row_hash,
        {{ as_double('hashed.wml_row_hash') }} / 1152921504606846976e0 as hash_fraction
    from hashed
)
{% endif %}

select
{% for column in columns %}
    placed.{{ column | ident }},
{% endfor %}
    placed.wml_row_hash,
    case
{% if method == 'NO_SPLIT' %}
        when true then 'train'
{% elif method == 'AUTO_SPLIT' and is_tuned %}
        -- Under 500 rows all train; above, some choose a trial and others measure what was chosen.
        when placed.n_rows < 500 then 'train'
        when placed.position <= placed.n_rows * {{ param('eval_fraction') }} then 'eval'
        when placed.position <= placed.n_rows * {{ param('held_out') }} then 'test'
        else 'train'
{% elif method == 'AUTO_SPLIT' %}
        when placed.is_held_out then 'eval'
        else 'train'
{% elif method == 'RANDOM' %}
        when placed.hash_fraction < {{ param('eval_fraction') }} then 'eval'
        when placed.hash_fraction < {{ param('held_out') }} then 'test'
        else 'train'
{% elif method == 'SEQ' %}
        when placed.position > placed.n_rows * (1 - {{ param('test_fraction') }}) then 'test'
        when placed.position > placed.n_rows * (1 - {{ param('held_out') }}) then 'eval'
        else 'train'
{% elif column_type == 'BOOLEAN' %}
        when coalesce(placed.{{ column_name | ident }}, true) then 'eval'
        else 'train'
{% else %}
        when placed.{{ column_name | ident }} is null then 'eval'
        else lower(placed.{{ column_name | ident }})
{% endif %}
    end as wml_split
from placed
