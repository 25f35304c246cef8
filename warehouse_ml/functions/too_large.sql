-- grain: none: whoever calls it is told why it has no rows
-- unit:  none
-- null:  none
select {{ raise_error(why) }} as predicted
from wml_input
