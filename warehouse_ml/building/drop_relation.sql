{#- A view cannot replace a table, nor a table a view. -#}
drop {{ kind }} if exists {{ relation | ident }}
