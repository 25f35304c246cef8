-- grain: one row
-- unit:  n_rows counts rows whose label is no class of the model; example is the first of these labels
-- null:  example where there is none
select
    {{ as_int('count(*)') }} as n_rows,
    min(scored.label) as example
from {{ relation | ident }} as scored
where scored.label not in ({% for name in classes %}{{ name | literal }}{% if not loop.last %}, {% endif %}{% endfor %})
