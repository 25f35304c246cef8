{#- The query stands as it is written, so that an error's place in it can be found. -#}
create or replace temp table {{ relation | ident }} as
{{ query }}
