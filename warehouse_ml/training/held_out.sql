-- grain: one row per held-out training row, scored
-- unit:  score and label as the evaluation of the task reads them
-- null:  never a null label
select
    {{ as_string('row_number() over (order by scored.wml_row_hash asc)') }} as request_id,
    {{ asked_at | literal }} as requested_at,
{% if version is not none %}
    {{ version | literal }} as model_version,
{% endif %}
    scored.score,
    scored.prediction,
{% if task == 'binary' %}
    {{ as_string('scored.' ~ (label | ident)) }} = {{ positive | literal }} as label
{% else %}
    scored.{{ label | ident }} as label
{% endif %}
from ({{ scored }}) as scored
