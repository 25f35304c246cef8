-- grain: one row
-- unit:  rows
-- null:  never
select count(*) as n_rows
from {{ relation | ident }}
