{{ config(on='retrain', model='late_arrival') }}
-- grain: one row when the newest version has served, or waited to, for longer than a quarter; else none
-- unit:  value and bound in days
-- null:  never
--
-- The newest version counts and not the champion: a challenger that lost must not be trained again every week.

with newest as (
    select max(model_versions.as_of) as trained_at
    from wml.model_versions
    where
        model_versions.model = 'late_arrival'
        and model_versions.as_of <= {{ as_of }}
),

final as (
    select
        'the newest version is old' as reason,
        {{ seconds_between('newest.trained_at', as_of) }} / 86400 as value,
        {{ var('retrain_after_days') }} as bound
    from newest
    where newest.trained_at is not null
)

select
    final.reason,
    final.value,
    final.bound
from final
where final.value > final.bound
