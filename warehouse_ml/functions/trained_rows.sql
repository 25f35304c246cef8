-- grain: one row per row of the snapshot that was trained on, or held out of training; at most a number of them,
--        those with the lowest hash
-- unit:  as in the training query
-- null:  as in the training query
select snapshot_rows.*
from {{ read_parquet(path) }} as snapshot_rows
where snapshot_rows.wml_split = {{ split | literal }}
{% if most is not none %}
order by snapshot_rows.wml_row_hash asc
limit {{ most }}
{% endif %}
