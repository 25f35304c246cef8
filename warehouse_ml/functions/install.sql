-- grain: one row per row of the relation that the function is called with
-- unit:  as ml.predict
-- null:  as ml.predict
{{ create_table_function(name | ident, body) }};

{{ describe_table_function(name | ident, told) }}
