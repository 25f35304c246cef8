-- grain: one row per model, alias and stretch of time over which one version had it; a canary's share does not change in it
-- unit:  from since up to until, instants in UTC; share in (0, 1)
-- null:  until where it still has the alias; share but for a canary
-- Of two lines of one instant the later written counts, so the order in which they are stored matters.
create or replace view {{ 'alias_periods' | wml }} as
with written as (
    select
        lines.model,
        lines.alias,
        lines.version,
        lines.share,
        lines.reason,
        lines.since,
        lead(lines.since) over (
            partition by lines.model, lines.alias
            order by lines.since, lines.row_position
        ) as until
    from {{ read_parquet_in_order(path, 'row_position') }} as lines
),

held as (
    select
        written.model,
        written.alias,
        written.version,
        written.share,
        written.reason,
        written.since,
        written.until,
        lag(written.version) over each_alias as earlier_version,
        lag(written.share) over each_alias as earlier_share,
        lag(written.until) over each_alias as earlier_until
    from written
    where written.version is not null
        and (written.until is null or written.until > written.since)
    window
        each_alias as (
            partition by written.model, written.alias
            order by written.since
        )
),

-- A line that says again what held already begins nothing.
numbered as (
    select
        held.model,
        held.alias,
        held.version,
        held.share,
        held.reason,
        held.since,
        held.until,
        sum(
            case
                when held.earlier_version = held.version
                    and {{ same('held.earlier_share', 'held.share') }}
                    and held.earlier_until = held.since
                    then 0
                else 1
            end
        ) over (
            partition by held.model, held.alias
            order by held.since
        ) as stretch
    from held
),

placed as (
    select
        numbered.model,
        numbered.alias,
        numbered.version,
        numbered.share,
        numbered.reason,
        numbered.since,
        numbered.until,
        numbered.stretch,
        row_number() over each_stretch as position,
        first_value(numbered.until) over each_stretch_back as last_until
    from numbered
    window
        each_stretch as (
            partition by numbered.model, numbered.alias, numbered.stretch
            order by numbered.since
        ),
        each_stretch_back as (
            partition by numbered.model, numbered.alias, numbered.stretch
            order by numbered.since desc
        )
)

select
    placed.model,
    placed.alias,
    placed.version,
    placed.since,
    placed.last_until as until,
    placed.share,
    placed.reason
from placed
where placed.position = 1
