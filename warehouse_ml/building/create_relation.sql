{#-
    grain: the query's
    unit:  the query's
    null:  the query's
    The query stands as it is written, so that an error's place in it can be found.
-#}
create or replace {{ kind }} {{ relation | ident }}{{ relation_layout(layout) if layout else '' }} as
{{ query }}
