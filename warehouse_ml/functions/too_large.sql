-- grain: none: whoever calls it is told why it has no rows
-- unit:  none
-- null:  none
select wml_input.wml_row as predicted
from wml_input
where {{ raise_error(why) }} is null
