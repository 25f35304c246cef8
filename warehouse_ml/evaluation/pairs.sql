-- grain: one row per pair of versions that answered in the same window, where either of them is due
-- unit:  pair is 1, 2, ... in the order of window and versions; version is the later of the two
-- null:  window_start and window_end where the window is everything
-- Each two of up to four versions; of more, the latest with each other one, as pairs grow with the square of versions.
{{ create_scratch('wml_pairs') }}
with windows as (
    select distinct
        due.window_start,
        due.window_end
    from wml_due as due
    where due.n_versions > 1
),

versions as (
    select distinct
        windows.window_start,
        windows.window_end,
        joined.version,
        due.unit
    from wml_joined as joined
    inner join windows
        on {{ same('joined.window_start', 'windows.window_start') }}
    left join wml_due as due
        on {{ same('joined.window_start', 'due.window_start') }}
        and joined.version = due.version
    where joined.version is not null
),

numbered as (
    select
        versions.window_start,
        versions.window_end,
        versions.version,
        versions.unit,
        count(*) over (partition by versions.window_start) as n_versions,
        row_number() over (partition by versions.window_start order by versions.version desc) as position
    from versions
)

select
    {{ as_int('row_number() over (order by versions.window_start nulls first, versions.version, others.version)') }} as pair,
    {{ hash_text(row_text([param('evaluation'), 'versions.version', 'others.version', 'versions.window_start', param('as_of_text')])) }} as comparison_id,
    versions.version,
    others.version as other_version,
    versions.window_start,
    versions.window_end
from numbered as versions
inner join numbered as others
    on {{ same('versions.window_start', 'others.window_start') }}
    and versions.version > others.version
where (versions.unit is not null or others.unit is not null)
    and (versions.n_versions <= 4 or versions.position = 1)
