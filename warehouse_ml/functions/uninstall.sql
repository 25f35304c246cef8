{{ drop_table_function(name | ident) }}
