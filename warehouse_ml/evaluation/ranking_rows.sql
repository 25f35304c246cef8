-- grain: one row per row with a label and a score
-- unit:  label 0 or 1; place grows with the score, over all units, and equal scores share one
-- null:  never
{{ create_scratch('wml_ranked_rows') }}
with scored as (
    select
        combinations.combination,
        {{ as_int('request_rows.label') }} as label,
        request_rows.score
    from wml_rows as request_rows
    inner join wml_combinations as combinations
        on request_rows.unit = combinations.unit
        {% for name in names %}
        and request_rows.{{ name }} = combinations.{{ name }}
        {% endfor %}
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
        row_number() {{ over_sorted('scored.score') }} as place,
        lag(scored.score) {{ over_sorted('scored.score') }} as score_before
    from scored
)

select
    numbered.combination,
    numbered.label,
    max(case when numbered.score_before is null or numbered.score_before < numbered.score then numbered.place end)
    {{ over_sorted('numbered.place', is_running=true) }} as place
from numbered
