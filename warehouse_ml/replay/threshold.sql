{#-
    grain: of one line of a log
    unit:  a probability
    null:  never
-#}
{% if is_logged %}
coalesce(logged.threshold, {{ otherwise | literal }})
{%- else %}
{{ otherwise | literal }}
{%- endif %}
