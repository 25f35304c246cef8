-- grain: one row per relation
-- unit:  durations in seconds
-- null:  n_rows is null for a view, window_start for what is not incremental
{%- set types = {'window_start': 'timestamp', 'n_rows': 'int', 'inputs_hash': 'string'} -%}
{#- What may be null is told its type. -#}
{%- macro told(column, name) -%}
{% if column in types %}cast({{ param(name) }} as {{ type(types[column]) }}){% else %}{{ param(name) }}{% endif %}
{%- endmacro %}

delete from {{ 'builds' | wml }}
where relation in ({% for name in columns[0].params %}{{ param(name) }}{% if not loop.last %}, {% endif %}{% endfor %});

insert into {{ 'builds' | wml }} ({% for column in columns %}{{ column.name | ident }}{% if not loop.last %}, {% endif %}{% endfor %})
values
{% for index in range(n_records) %}
({% for column in columns %}{{ told(column.name, column.params[index]) }}{% if not loop.last %}, {% endif %}{% endfor %}){% if not loop.last %},{% endif %}

{% endfor %};

insert into {{ 'build_history' | wml }} ({% for column in kept %}{{ column.name | ident }}{% if not loop.last %}, {% endif %}{% endfor %})
values
{% for index in range(n_records) %}
({% for column in kept %}{{ told(column.name, column.params[index]) }}{% if not loop.last %}, {% endif %}{% endfor %}){% if not loop.last %},{% endif %}

{% endfor %}
