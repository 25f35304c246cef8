{#-
    grain: as BigQuery ML's function of the name has it, one row per row of the input for predictions
    unit:  as BigQuery ML has it
    null:  as BigQuery ML has it
-#}
select answered.*
from ml.{{ name }}(model {{ native | map('ident') | join('.') }}{% for read in inputs %}, (
{{ read }}
){% endfor %}{% for setting in settings %}, {{ setting }}{% endfor %}) as answered
