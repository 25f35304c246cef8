-- grain: one row per scored row whose label is known
-- unit:  score and label as the evaluation of the task reads them
-- null:  never a null label
select
    {{ as_string('row_number() over ()') }} as request_id,
    {{ asked_at | literal }} as requested_at,
    scored.score,
    scored.prediction,
    {% if positive is not none %}
    scored.label = {{ positive | literal }} as label
    {% else %}
    scored.label
    {% endif %}
from ({{ scored }}) as scored
where scored.label is not null
