-- grain: one row per request that the version has not answered yet
-- unit:  timestamps are instants in UTC; closed at the start, open at the end
-- null:  as in the requests
create or replace temp table {{ target | ident }} as
select
    {{ as_string('requests.request_id') }} as request_id,
    requests.requested_at
{% for column in features %}
    ,
    requests.{{ column | ident }}
{% endfor %}
from {{ relation | ident }} as requests
where
    requests.requested_at >= {{ since | literal }}
    and requests.requested_at < {{ until | literal }}
{% if stretch.share is not none %}
    and {{ 'not ' if not stretch.is_canary }}({{ is_in_share(request_text(model, 'requests.request_id'), stretch.share) }})
{% endif %}
{% if stretch.among is not none %}
    and exists (
        select 1
        from {{ log | ident }} as served
        where
            served.request_id = {{ as_string('requests.request_id') }}
            and served.requested_at >= {{ since | literal }}
            and served.version = {{ stretch.among | literal }}
    )
{% endif %}
    and not exists (
        select 1
        from {{ log | ident }} as logged
        where
            logged.request_id = {{ as_string('requests.request_id') }}
            and logged.requested_at >= {{ since | literal }}
            and logged.version = {{ stretch.version | literal }}
    )
