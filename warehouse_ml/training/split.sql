-- grain: one row per training row, each marked train, eval or test
-- unit:  wml_row_hash in [0, 2^60)
-- null:  a row whose split column is null is held out (eval)
create or replace temp table {{ target | ident }} as
with
{% if method == 'AUTO_SPLIT' and not is_tuned %}
-- The rows with the lowest hashes are held out.
lowest as (
    select read_rows.wml_row_hash
    from {{ relation | ident }} as read_rows
    order by
        read_rows.wml_row_hash asc
    limit {{ param('n_held_out') }}
),

last_held_out as (
    select coalesce(max(lowest.wml_row_hash), -1) as row_hash
    from lowest
),

-- Equal rows, of which some may have to be on either side.
n_equal_held_out as (
    select count(*) as n_rows
    from lowest
    inner join last_held_out on lowest.wml_row_hash = last_held_out.row_hash
),

equal_to_last as (
    select
        read_rows.*,
        row_number() over (order by read_rows.wml_row_hash asc) as position
    from {{ relation | ident }} as read_rows
    inner join last_held_out on read_rows.wml_row_hash = last_held_out.row_hash
),

placed as (
    select
{% for column in columns %}
        read_rows.{{ column | ident }},
{% endfor %}
        read_rows.wml_row_hash < last_held_out.row_hash as is_held_out
    from {{ relation | ident }} as read_rows
    inner join last_held_out on read_rows.wml_row_hash <> last_held_out.row_hash
    union all
    select
{% for column in columns %}
        equal_to_last.{{ column | ident }},
{% endfor %}
        equal_to_last.position <= n_equal_held_out.n_rows as is_held_out
    from equal_to_last
    cross join n_equal_held_out
)
{% elif method in ('SEQ', 'AUTO_SPLIT') %}
counted as (
    select count(*) as n_rows
    from {{ relation | ident }}
),

placed as (
    select
{% for column in columns %}
        read_rows.{{ column | ident }},
{% endfor %}
        counted.n_rows,
        row_number() over (
            order by
{% if method == 'SEQ' %}
                -- The latest rows are held out; rows without a time count as latest.
                read_rows.{{ column_name | ident }} asc nulls last,
{% endif %}
                read_rows.wml_row_hash asc
        ) as position
    from {{ relation | ident }} as read_rows
    cross join counted
)
{% else %}
placed as (
    select
{% for column in columns %}
        read_rows.{{ column | ident }},
{% endfor %}
        {{ as_double('read_rows.wml_row_hash') }} / 1152921504606846976e0 as hash_fraction
    from {{ relation | ident }} as read_rows
)
{% endif %}

select
{% for column in columns %}
    placed.{{ column | ident }},
{% endfor %}
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
{% elif is_boolean %}
        when coalesce(placed.{{ column_name | ident }}, true) then 'eval'
        else 'train'
{% else %}
        when placed.{{ column_name | ident }} is null then 'eval'
        else lower(placed.{{ column_name | ident }})
{% endif %}
    end as wml_split
from placed
