-- grain: the answers of two versions in a window, as if each had served
-- unit:  none
-- null:  never null
update {{ log | ident }}
set alias = {{ param('alias') }}
where
    version in ({{ versions | map('literal') | join(', ') }})
{% if start %}
    and requested_at >= {{ start | literal }}
    and requested_at < {{ end | literal }}
{% endif %}
