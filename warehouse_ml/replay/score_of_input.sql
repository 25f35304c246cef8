{#-
    grain: one row per row of the input
    unit:  as the version's own query
    null:  as the version's own query
-#}
select
    scored.request_id,
    scored.score,
    scored.prediction
from ({{ scoring }}) as scored
