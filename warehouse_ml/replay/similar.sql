-- grain: one row per request id that comes right before or after a text
-- unit:  never
-- null:  never
(
    select distinct logged.request_id
    from {{ log | ident }} as logged
    where logged.request_id >= {{ param('request_id') }}
    order by logged.request_id asc
    limit {{ most }}
)
union all
(
    select distinct logged.request_id
    from {{ log | ident }} as logged
    where logged.request_id < {{ param('request_id') }}
    order by logged.request_id desc
    limit {{ most }}
)
order by request_id
