-- grain: one row per cluster that has rows
-- unit:  distances as the model's distance_type has them
-- null:  never
with scored as (
{{ scored }}
)

select
    {{ as_int('wml_prediction') }} as centroid_id,
    count(*) as n_rows,
    avg(wml_score) as mean_distance,
    sum(wml_score * wml_score) as total_squared_distance
from scored
group by wml_prediction
order by centroid_id
