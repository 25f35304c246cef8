{#- Rows that are there already have null in the new column. -#}
alter table {{ relation | ident }} add column if not exists {{ column | ident }} {{ column_type }}
