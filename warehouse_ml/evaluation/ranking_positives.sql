-- grain: one row per slice from first_slice to last_slice and score at which its label is 1
-- unit:  n_rows counts those rows, n_tied the rows of label 0 with the same score; row_position and positive_position count
--        from 0 the rows before them, of either label and of label 1, slice after slice and by score within each
-- null:  n_rows of the very last; without ties there are no n_rows, which are 1, and no n_tied, which are 0
-- sort_key holds, from its highest bits, the slice, the place of the score, and the label, so that among equal scores the
-- positives come last. One sort of one number a row costs a fifth of a window over each slice, and half of that where the
-- number has 32 bits.
{% set as_key = as_natural if is_narrow else as_int %}
{{ create_scratch('wml_ranked_positives') }}
with sliced as (
    {% for index in some %}
    select
        {{ as_key('(members.slice_id - ' ~ first_slice ~ ') * ' ~ slice_width ~ ' + ' ~ as_int('ranked.place') ~ ' * 2 + ranked.label') }} as sort_key
    from wml_ranked_rows as ranked
    inner join wml_slice_members as members
        on ranked.combination = members.combination
        and members.slice_set = {{ index }}
    {% if not loop.last %}
    union all
    {% endif %}
    {% endfor %}
),

keyed as (
    select sliced.sort_key
    from sliced
    {{ sorted_first('sliced.sort_key') }}
),

{% if has_ties %}
numbered as (
    select
        keyed.sort_key,
        row_number() {{ over_sorted('keyed.sort_key') }} - 1 as row_position,
        lag(keyed.sort_key) {{ over_sorted('keyed.sort_key') }} as key_before
    from keyed
),

-- All positives, and the first negative of each slice and score: the rows between it and the first positive are tied.
kept as (
    select
        numbered.sort_key,
        numbered.row_position
    from numbered
    where
        numbered.sort_key & 1 = 1
        or numbered.key_before is null
        or numbered.key_before < numbered.sort_key
),

neighbours as (
    select
        kept.sort_key,
        kept.row_position,
        lag(kept.sort_key) {{ over_sorted('kept.row_position') }} as key_before,
        lag(kept.row_position) {{ over_sorted('kept.row_position') }} as position_before
    from kept
),

positives as (
    select
        neighbours.sort_key,
        neighbours.row_position,
        neighbours.key_before,
        neighbours.position_before,
        row_number() {{ over_sorted('neighbours.row_position') }} - 1 as positive_position
    from neighbours
    where neighbours.sort_key & 1 = 1
),

-- The first positive of each slice and score.
firsts as (
    select
        positives.sort_key,
        positives.row_position,
        positives.positive_position,
        case
            when positives.key_before = positives.sort_key - 1 then positives.row_position - positives.position_before
            else 0
        end as n_tied
    from positives
    where
        positives.key_before is null
        or positives.key_before < positives.sort_key
)

select
    {{ as_natural('firsts.sort_key >> ' ~ n_bits) }} as slice_number,
    {{ as_natural('firsts.row_position') }} as row_position,
    {{ as_natural('firsts.positive_position') }} as positive_position,
    {{ as_natural('firsts.n_tied') }} as n_tied,
    {{ as_natural('lead(firsts.positive_position) ' ~ over_sorted('firsts.row_position') ~ ' - firsts.positive_position') }} as n_rows
from firsts
{% else %}
numbered as (
    select
        keyed.sort_key,
        row_number() {{ over_sorted('keyed.sort_key') }} - 1 as row_position
    from keyed
)

select
    {{ as_natural('numbered.sort_key >> ' ~ n_bits) }} as slice_number,
    {{ as_natural('numbered.row_position') }} as row_position,
    {{ as_natural('row_number() ' ~ over_sorted('numbered.row_position') ~ ' - 1') }} as positive_position
from numbered
where numbered.sort_key & 1 = 1
{% endif %}
