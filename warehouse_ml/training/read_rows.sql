{#- The query starts on line 2, so that an error's line less one is the query's. -#}
create or replace temp table {{ relation | ident }} as
{{ query }}
