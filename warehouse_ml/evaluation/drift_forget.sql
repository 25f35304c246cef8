-- Keeps the profiles that were written last. One that is asked for again is made again.
delete from {{ 'drift_profiles' | wml }}
where profile not in (
    select latest.profile
    from (
        select
            profiles.profile,
            max(profiles.as_of) as as_of
        from {{ 'drift_profiles' | wml }} as profiles
        group by profiles.profile
        order by as_of desc, profiles.profile asc
        limit {{ most }}
    ) as latest
)
