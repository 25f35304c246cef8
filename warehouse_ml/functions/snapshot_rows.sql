-- grain: one row per row that was trained on, or held out of training
-- unit:  as in the training query
-- null:  as in the training query
select
{% for column in columns %}
    snapshot_rows.{{ column | ident }}{% if not loop.last %},{% endif %}

{% endfor %}
from {{ read_parquet(path) }} as snapshot_rows
where snapshot_rows.wml_split = {{ split | literal }}
