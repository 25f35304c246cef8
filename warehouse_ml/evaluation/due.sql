-- grain: one row per version and window that ended by as_of and was never evaluated, or changed since
-- unit:  unit is 1, 2, ... in the order of version and window; n_bad_* count rows that forbid the evaluation
-- null:  window_start and window_end where the window is everything
-- content_hash is a sum over rows, so that their order changes nothing.
{{ create_scratch('wml_due') }}
with windows as (
    select
        joined.version,
        joined.window_start,
        {% if window == 'all' %}
        cast(null as {{ type('timestamp') }}) as window_end,
        {% else %}
        {{ add_period('joined.window_start', 1, window) }} as window_end,
        {% endif %}
        {{ row_text(['joined.version', 'joined.window_start']) }} as window_key,
        max(joined.requested_at) as last_requested_at,
        count(*) as n_requests,
        {{ count_where('joined.label is not null') }} as n_labelled,
        {{ sum_text(fingerprint(row_columns)) }} as content_hash
    from wml_joined as joined
    group by
        joined.version,
        joined.window_start
),

latest as (
    select
        {{ row_text(['evaluations.version', 'evaluations.window_start']) }} as window_key,
        evaluations.as_of,
        evaluations.n_requests,
        evaluations.n_labelled,
        evaluations.content_hash,
        evaluations.definition_hash,
        evaluations.is_mature
    from {{ 'evaluations' | wml }} as evaluations
    where evaluations.evaluation = {{ param('evaluation') }}
        and evaluations.as_of <= {{ param('as_of') }}
    qualify row_number() over (
        partition by evaluations.version, evaluations.window_start
        order by evaluations.as_of desc
    ) = 1
),

ended as (
    select
        windows.version,
        windows.window_start,
        windows.window_end,
        windows.window_key,
        windows.n_requests,
        windows.n_labelled,
        windows.content_hash,
        {{ seconds_between('coalesce(windows.window_end, windows.last_requested_at)', param('as_of')) }}
            >= {{ param('maturity_seconds') }} as is_mature,
        count(*) over (partition by windows.window_start) as n_versions
    from windows
    where windows.window_end is null
        or windows.window_end <= {{ param('as_of') }}
)

select
    {{ as_int('row_number() over (order by ended.version nulls first, ended.window_start nulls first)') }} as unit,
    {{ hash_text(row_text([param('evaluation'), 'ended.window_key', param('as_of_text')])) }} as evaluation_id,
    ended.version,
    ended.window_start,
    ended.window_end,
    ended.n_requests,
    ended.n_labelled,
    ended.content_hash,
    ended.is_mature,
    ended.n_versions
from ended
left join latest
    on ended.window_key = latest.window_key
where latest.window_key is null
    or latest.n_requests <> ended.n_requests
    or latest.n_labelled <> ended.n_labelled
    or latest.content_hash <> ended.content_hash
    or latest.definition_hash <> {{ param('definition_hash') }}
    or (ended.is_mature and not latest.is_mature)
    or {{ param('restate') }}
