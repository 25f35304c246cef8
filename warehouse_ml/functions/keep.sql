-- grain: one row per row of the query
-- unit:  as in the query
-- null:  as in the query
{{ create_scratch(relation | ident) }}
{{ query }}
