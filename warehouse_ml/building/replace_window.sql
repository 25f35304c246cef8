-- grain: the relation's; the rows of one window are written again whole
-- unit:  timestamps are instants in UTC; the window is closed at its start
-- null:  rows without an event time were refused before
-- The relation was built up to the window's start: later rows can only be of a build that was never written down.
delete from {{ relation | ident }}
where {{ event_time | ident }} >= {{ param('window_start') }};

insert into {{ relation | ident }} ({% for column in columns %}{{ column | ident }}{% if not loop.last %}, {% endif %}{% endfor %})
select
{% for column in columns %}
    {{ column | ident }}{% if not loop.last %},{% endif %}

{% endfor %}
from {{ fresh | ident }}
