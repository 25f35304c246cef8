-- grain: one row per rule, model, returned row and as_of; firing again at the same clock replaces
-- unit:  timestamps are instants in UTC
-- null:  model is null for a rule about no model
delete from {{ 'rule_firings' | wml }}
where
    rule = {{ param('rule') }}
    and {{ same('model', param('model')) }}
    and as_of = {{ param('as_of') }}
{% if keeps_cause %}
    -- The version of this very clock was trained for it.
    and not exists (
        select 1 as is_there
        from {{ 'model_versions' | wml }} as versions
        where
            versions.model = {{ param('model') }}
            and versions.as_of = {{ param('as_of') }}
    )
{% endif %};

{% for row in rows %}
insert into {{ 'rule_firings' | wml }} (
    rule, {{ 'on' | ident }}, model, fired_at, as_of, returned_row
)
values (
    {{ param('rule') }},
    {{ param('event') }},
    {{ param('model') }},
    {{ param('fired_at') }},
    {{ param('as_of') }},
    {{ row | literal }}
);

{% endfor %}
