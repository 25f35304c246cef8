-- grain: one row
-- unit:  an instant in UTC, or whatever type the rows are split by
-- null:  never; a version is trained on some rows
select max({{ column | ident }}) as last_at
from {{ read_parquet(path) }}
where wml_split <> {{ held_out | literal }}
