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

counted as (
    select count(*) as n_rows
    from hashed
),

ranked as (
    select
{% for column in columns %}
        hashed.{{ column | ident }},
{% endfor %}
        hashed.wml_row_hash,
        {{ as_double('hashed.wml_row_hash') }} / 1152921504606846976e0 as hash_fraction,
        counted.n_rows,
        row_number() over (
{% if method == 'SEQ' %}
            -- The latest rows are held out; rows without a time count as latest.
            order by
                hashed.{{ column_name | ident }} asc nulls last,
                hashed.wml_row_hash asc
{% else %}
            order by hashed.wml_row_hash asc
{% endif %}
        ) as position
    from hashed
    cross join counted
)

select
{% for column in columns %}
    ranked.{{ column | ident }},
{% endfor %}
    ranked.wml_row_hash,
    case
{% if method == 'NO_SPLIT' %}
        when true then 'train'
{% elif method == 'AUTO_SPLIT' and is_tuned %}
        -- Under 500 rows all train; above, some choose a trial and others measure what was chosen.
        when ranked.n_rows < 500 then 'train'
        when ranked.position <= ranked.n_rows * {{ param('eval_fraction') }} then 'eval'
        when ranked.position <= ranked.n_rows * {{ param('held_out') }} then 'test'
        else 'train'
{% elif method == 'AUTO_SPLIT' %}
        -- Under 500 rows all train, up to 50,000 one in five is held out, above that 10,000 rows are.
        when ranked.n_rows < 500 then 'train'
        when ranked.n_rows <= 50000 and ranked.position * 5 <= ranked.n_rows then 'eval'
        when ranked.n_rows > 50000 and ranked.position <= 10000 then 'eval'
        else 'train'
{% elif method == 'RANDOM' %}
        when ranked.hash_fraction < {{ param('eval_fraction') }} then 'eval'
        when ranked.hash_fraction < {{ param('held_out') }} then 'test'
        else 'train'
{% elif method == 'SEQ' %}
        when ranked.position > ranked.n_rows * (1 - {{ param('test_fraction') }}) then 'test'
        when ranked.position > ranked.n_rows * (1 - {{ param('held_out') }}) then 'eval'
        else 'train'
{% elif column_type == 'BOOLEAN' %}
        when coalesce(ranked.{{ column_name | ident }}, true) then 'eval'
        else 'train'
{% else %}
        when ranked.{{ column_name | ident }} is null then 'eval'
        else lower(ranked.{{ column_name | ident }})
{% endif %}
    end as wml_split
from ranked
