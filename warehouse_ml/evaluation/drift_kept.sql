-- The profile of a reference, whose columns depend on the inputs.
select kept.*
from {{ table }} as kept
