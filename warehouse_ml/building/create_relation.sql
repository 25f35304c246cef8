{#-
    grain: the query's
    unit:  the query's
    null:  the query's
    The query starts on line 2, so that an error's line less one is the file's.
-#}
create or replace {{ kind }} {{ relation | ident }} as
{{ query }}
