{#- Values that are there already are the same in the wider type. -#}
alter table {{ log | ident }} alter column {{ column | ident }} set data type {{ column_type }}
