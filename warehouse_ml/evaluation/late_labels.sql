-- grain: one row
-- unit:  the start of the first window with a label that became known since the evaluation last wrote something
-- null:  there is none before `since`
-- The condition on label_known_at lets an engine read the new labels alone and join them with few requests.
select min({{ period_start('cast(joined.requested_at as ' ~ type('timestamp') ~ ')', window) }}) as window_start
from (
{{ join_sql }}
) as joined
where joined.requested_at < {{ param('since') }}
    and joined.label_known_at <= {{ param('as_of') }}
    and joined.label_known_at > (
        select max(evaluations.as_of)
        from {{ 'evaluations' | wml }} as evaluations
        where evaluations.evaluation = {{ param('evaluation') }}
            and evaluations.as_of <= {{ param('as_of') }}
    )
