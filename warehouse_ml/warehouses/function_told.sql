-- grain: one row per table function of the toolkit's own schema that says what it was made of
-- unit:  none
-- null:  none
select functions.comment as told
from duckdb_functions() as functions
where functions.schema_name = 'wml'
    and functions.function_name = {{ name | literal }}
    and functions.comment is not null
    and functions.database_name = current_database()
