-- A table of the connection that nobody needs any more.
{{ drop_scratch(table) }}
