-- grain: one row per row with a label and a score
-- unit:  place_and_label is twice the place, 1, 2, ... in the order of the scores, over all units, with equal scores
--        sharing one, and one more where the label is 1
-- null:  never
{{ create_scratch('wml_ranked_rows') }}
with scored as (
    select
        request_rows.combination,
        {{ as_natural('request_rows.label') }} as label,
        request_rows.score
    from wml_rows as request_rows
    where
        request_rows.label is not null
        and request_rows.score is not null
    {{ sorted_first('request_rows.score') }}
),

numbered as (
    select
        scored.combination,
        scored.label,
        scored.score,
        row_number() {{ over_sorted('scored.score') }} as position,
        lag(scored.score) {{ over_sorted('scored.score') }} as score_before
    from scored
)

select
    numbered.combination,
    {{ as_natural(
        'count(case when numbered.score_before is null or numbered.score_before < numbered.score then 1 end) '
        ~ over_sorted('numbered.position', is_running=true) ~ ' * 2 + numbered.label'
    ) }} as place_and_label
from numbered
