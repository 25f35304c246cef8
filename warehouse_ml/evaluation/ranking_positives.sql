-- grain: one row per slice of these slice sets and score at which its label is 1
-- unit:  n_rows counts those rows, n_tied the rows of label 0 with the same score; row_position and positive_position count
--        from 0 the rows before them, of either label and of label 1, slice after slice and by score within each
-- null:  n_rows of the very last
-- sort_key holds, from its highest bits, the slice, the place of the score, and the label, so that among equal scores the
-- positives come last: then the row before the first of them is a tied negative, if there is one. One sort of one number
-- a row costs a fifth of a window over each slice.
{{ create_scratch('wml_ranked_positives') }}
with keyed as (
    select (members.slice_id << 36) + (ranked.place << 1) + ranked.label as sort_key
    from wml_ranked_rows as ranked
    inner join wml_slice_members as members
        on ranked.combination = members.combination
    {{ sorted_first('sort_key') }}
),

numbered as (
    select
        keyed.sort_key,
        row_number() {{ over_sorted('keyed.sort_key') }} - 1 as row_position,
        lag(keyed.sort_key) {{ over_sorted('keyed.sort_key') }} as key_before
    from keyed
),

-- The first row of each slice, score and label.
firsts as (
    select
        numbered.sort_key,
        numbered.row_position,
        case
            when lag(numbered.sort_key) {{ over_sorted('numbered.sort_key') }} = numbered.sort_key - 1
                then numbered.row_position - lag(numbered.row_position) {{ over_sorted('numbered.sort_key') }}
            else 0
        end as n_tied,
        lead(numbered.row_position) {{ over_sorted('numbered.sort_key') }} - numbered.row_position as n_rows
    from numbered
    where
        numbered.key_before is null
        or numbered.key_before < numbered.sort_key
)

select
    firsts.sort_key >> 36 as slice_id,
    firsts.row_position,
    firsts.n_tied,
    firsts.n_rows,
    coalesce(sum(firsts.n_rows) {{ over_sorted('firsts.sort_key', is_running=true) }}, 0) - coalesce(firsts.n_rows, 0) as positive_position
from firsts
where firsts.sort_key & 1 = 1
