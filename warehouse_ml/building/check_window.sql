-- grain: one row
-- unit:  rows that do not lie in the window
-- null:  a row without an event time is outside
select
    count(*) as n_rows,
    {{ count_where(event_time | ident ~ ' is null') }} as n_without_time,
    {{ count_where(event_time | ident ~ ' < ' ~ param('window_start')) }} as n_before,
    {{ count_where(event_time | ident ~ ' >= ' ~ param('window_end')) }} as n_after
from {{ fresh | ident }}
