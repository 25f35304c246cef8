-- grain: the relation's; the rows of one window are written again whole
-- unit:  timestamps are instants in UTC; the window is closed at its start, open at its end
-- null:  rows without an event time were refused before
delete from {{ relation | ident }}
where
    {{ event_time | ident }} >= {{ param('window_start') }}
    and {{ event_time | ident }} < {{ param('window_end') }};

insert into {{ relation | ident }} ({% for column in columns %}{{ column | ident }}{% if not loop.last %}, {% endif %}{% endfor %})
select
{% for column in columns %}
    {{ column | ident }}{% if not loop.last %},{% endif %}

{% endfor %}
from {{ fresh | ident }}
