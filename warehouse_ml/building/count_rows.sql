-- grain: one row
-- unit:  rows
-- null:  never
select count(*) as n_rows
from {{ relation | ident }}
{% if filter_on is defined and filter_on %}
-- A table that is read with a filter alone takes one that holds for every row.
where ({{ filter_on | ident }} is null or {{ filter_on | ident }} is not null)
{% endif %}
