-- grain: the table's; none is left
-- unit:  none
-- null:  none
delete from {{ relation | ident }}
where true
