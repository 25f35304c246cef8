-- grain: one row per relation
-- unit:  durations in seconds
-- null:  n_rows is null for a view, window_start for what is not incremental
delete from {{ 'builds' | wml }}
where relation in ({% for name in columns[0].params %}{{ param(name) }}{% if not loop.last %}, {% endif %}{% endfor %});

insert into {{ 'builds' | wml }} ({% for column in columns %}{{ column.name | ident }}{% if not loop.last %}, {% endif %}{% endfor %})
values
{% for index in range(n_records) %}
({% for column in columns %}{{ param(column.params[index]) }}{% if not loop.last %}, {% endif %}{% endfor %}){% if not loop.last %},{% endif %}

{% endfor %};

insert into {{ 'build_history' | wml }} ({% for column in kept %}{{ column.name | ident }}{% if not loop.last %}, {% endif %}{% endfor %})
values
{% for index in range(n_records) %}
({% for column in kept %}{{ param(column.params[index]) }}{% if not loop.last %}, {% endif %}{% endfor %}){% if not loop.last %},{% endif %}

{% endfor %}
