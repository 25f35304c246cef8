-- grain: one row per threshold, descending
-- unit:  the counts are rows; recall and false_positive_rate in [0, 1]
-- null:  recall where no label is positive, false_positive_rate where none is negative
-- The rows are sorted once: at each threshold the rows counted are those of its own score and of every higher one.
with wml_scored as (
{{ scored }}
),

labelled as (
    select
        wml_scored.wml_score as score,
        {% if form == 'whole' %}
        case {{ as_string(as_int('wml_scored.' ~ (label | ident))) }}
        {% else %}
        case {{ as_string('wml_scored.' ~ (label | ident)) }}
        {% endif %}
            when {{ classes[1] | literal }} then 1
            when {{ classes[0] | literal }} then 0
        end as label
    from wml_scored
),

grouped as (
    select
        labelled.score,
        sum(labelled.label) as n_positive,
        sum(1 - labelled.label) as n_negative
    from labelled
    where labelled.label is not null
    group by labelled.score
),

{% if thresholds is none %}
ranked as (
    select
        grouped.score,
        sum(grouped.n_positive + grouped.n_negative) over (
            order by grouped.score
            rows between unbounded preceding and current row
        ) as n_up_to,
        grouped.n_positive + grouped.n_negative as n_own,
        sum(grouped.n_positive + grouped.n_negative) over () as n_rows
    from grouped
),

-- A score is the i-th percentile if the rank i * n / 100 is one of its own; the lowest score is the 0th.
thresholds as (
    select ranked.score as threshold
    from ranked
    where ranked.n_up_to = ranked.n_own
        or floor(ranked.n_up_to * {{ n_thresholds }}e0 / ranked.n_rows)
            > floor((ranked.n_up_to - ranked.n_own) * {{ n_thresholds }}e0 / ranked.n_rows)
),
{% else %}
thresholds as (
    {% for threshold in thresholds %}
    select {{ threshold | literal }} as threshold
    {% if not loop.last %}
    union all
    {% endif %}
    {% else %}
    select {{ as_double('null') }} as threshold where false
    {% endfor %}
),
{% endif %}

points as (
    select
        grouped.score,
        grouped.n_positive,
        grouped.n_negative,
        0 as is_threshold
    from grouped
    union all
    select
        thresholds.threshold as score,
        0 as n_positive,
        0 as n_negative,
        1 as is_threshold
    from thresholds
),

counted as (
    select
        points.score as threshold,
        points.is_threshold,
        coalesce(sum(points.n_positive) over at_least, 0) as n_true,
        coalesce(sum(points.n_negative) over at_least, 0) as n_false,
        sum(points.n_positive) over () as n_positive,
        sum(points.n_negative) over () as n_negative
    from points
    window at_least as (
        order by points.score desc
        range between unbounded preceding and current row
    )
)

select
    counted.threshold,
    {{ safe_divide('counted.n_true', 'counted.n_positive') }} as recall,
    {{ safe_divide('counted.n_false', 'counted.n_negative') }} as false_positive_rate,
    {{ as_int('counted.n_true') }} as true_positives,
    {{ as_int('counted.n_false') }} as false_positives,
    {{ as_int('counted.n_negative - counted.n_false') }} as true_negatives,
    {{ as_int('counted.n_positive - counted.n_true') }} as false_negatives
from counted
where counted.is_threshold = 1
order by counted.threshold desc
