{#-
    grain: one row per row of the input
    unit:  as the version's own query
    null:  as the version's own query
    The version's query reads a relation named wml_input; it is a WITH of its own here.
-#}
with wml_input as (
{{ source }}
)

{{ scoring }}
