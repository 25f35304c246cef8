{#-
    grain: one row per answer that is not the same again; where all are, one row of counts alone
    unit:  scores as in the log; a score is the same if every bit of it is
    null:  the columns of an answer where there is no difference
    `scored` gives the answers scored again, by request_id.
-#}
with again as (
{{ scored }}
),

logged as (
    select
        logged.request_id,
        logged.requested_at,
        logged.alias,
        logged.score,
        logged.prediction,
        {{ threshold }} as threshold
    from {{ log | ident }} as logged
    where
        logged.version = {{ answers.version | literal }}
{% if answers.since is not none %}
        and logged.requested_at >= {{ answers.since | literal }}
{% endif %}
{% if answers.until is not none %}
        and logged.requested_at < {{ answers.until | literal }}
{% endif %}
),

decided as (
    select
        logged.request_id,
        logged.requested_at,
        logged.alias,
        logged.score as logged_score,
        again.score as replayed_score,
        logged.prediction as logged_prediction,
{% if is_binary %}
        case
            when again.score >= logged.threshold then {{ positive | literal }}
            else {{ negative | literal }}
        end as replayed_prediction
{% else %}
        again.prediction as replayed_prediction
{% endif %}
    from logged
    left join again on logged.request_id = again.request_id
),

compared as (
    select
        decided.request_id,
        decided.requested_at,
        decided.alias,
        decided.logged_score,
        decided.replayed_score,
        decided.logged_prediction,
        decided.replayed_prediction,
        {{ same_double('decided.logged_score', 'decided.replayed_score') }}
        and decided.logged_prediction is not distinct from decided.replayed_prediction as is_same
    from decided
),

counted as (
    select
        count(*) as n_answers,
        {{ count_where('not compared.is_same') }} as n_different,
        {{ count_where('compared.logged_prediction is distinct from compared.replayed_prediction') }} as n_flips,
        max(abs(compared.replayed_score - compared.logged_score)) as max_abs_difference
    from compared
)

select
    counted.n_answers,
    counted.n_different,
    counted.n_flips,
    counted.max_abs_difference,
    compared.request_id,
    compared.requested_at,
    compared.alias,
    compared.logged_score,
    compared.replayed_score,
    compared.logged_prediction,
    compared.replayed_prediction
from counted
left join compared on not compared.is_same
order by
    compared.requested_at,
    compared.request_id
