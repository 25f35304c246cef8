-- grain: one row, if the table is there and says what it was made of
-- unit:  none
-- null:  none
select tables.comment as told
from duckdb_tables() as tables
where tables.schema_name = 'wml'
    and tables.table_name = {{ name | literal }}
    and tables.comment is not null
    and tables.database_name = current_database()
