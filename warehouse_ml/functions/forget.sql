-- A temporary table that nothing reads any more.
{{ drop_scratch(relation | ident) }}
