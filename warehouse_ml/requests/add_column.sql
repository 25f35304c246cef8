{#- A later version may ask for a feature that earlier ones did not; their rows have null there. -#}
alter table {{ log | ident }} add column if not exists {{ column | ident }} {{ column_type }}
