-- grain: the relation's
-- unit:  the relation's
-- null:  the relation's
select relation.*
from {{ relation | ident }} as relation
