{{ config(
    model='late',
    task='binary',
    threshold=var('alarm_at'),
    slices=['origin', 'carrier', ['origin', 'carrier']],
    window='week',
    maturity='2 days',
    min_slice_size=30
) }}
-- grain: one row per request and version
-- unit:  score is the probability of arriving 15 minutes late or more
-- null:  the answer is null until it is known

select
    answers.request_id,
    answers.requested_at,
    answers.version as model_version,
    answers.score,
    labels.is_late as label,
    labels.known_at as label_known_at,
    answers.origin,
    answers.carrier
from {{ request_log('late') }} as answers
left join {{ ref('late_labels') }} as labels
    on answers.request_id = labels.request_id
