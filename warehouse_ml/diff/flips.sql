-- grain: one row per slice_key and slice_value, in the order of the slices
-- unit:  counts of requests that both versions answered; share of them in [0, 1]
-- null:  n_to_positive and n_to_negative of many classes; all but n where n < min_slice_size, which is_suppressed says
with answers as (
    select
        {{ as_string('joined.request_id') }} as request_id,
        joined.model_version,
        {% if is_binary and has_score %}
        case when joined.score is not null then {{ as_string('joined.score >= ' ~ (threshold | literal)) }} end as decision
        {% elif is_binary %}
        {{ as_string(as_int('joined.prediction') ~ ' = 1') }} as decision
        {% else %}
        {{ as_string('joined.prediction') }} as decision
        {% endif %}
        {% for column in slice_columns %}
        ,
        {{ as_string('joined.' ~ (column | ident)) }} as {{ column | ident }}
        {% endfor %}
    from {{ rows | ident }} as joined
),

pairs as (
    select
        answers.request_id,
        {% for column in slice_columns %}
        coalesce(max(answers.{{ column | ident }}), '(null)') as {{ column | ident }},
        {% endfor %}
        max(case when answers.model_version = {{ before | literal }} then answers.decision end) as was,
        max(case when answers.model_version = {{ now | literal }} then answers.decision end) as became
    from answers
    group by answers.request_id
),

slices as (
{% for slice in slices %}
    select
        {{ loop.index0 }} as position,
        {{ slice.key | literal }} as slice_key,
        {{ slice_text(slice.names) if slice.names else "'all'" }} as slice_value,
        pairs.was,
        pairs.became
    from pairs
    where pairs.was is not null
        and pairs.became is not null
{% if not loop.last %}
    union all
{% endif %}
{% endfor %}
),

counted as (
    select
        slices.position,
        slices.slice_key,
        slices.slice_value,
        count(*) as n,
        {{ count_where('slices.was <> slices.became') }} as n_flips,
        {{ count_where("slices.was = 'false' and slices.became = 'true'") }} as n_to_positive,
        {{ count_where("slices.was = 'true' and slices.became = 'false'") }} as n_to_negative,
        slices.position > 0 and count(*) < {{ min_slice_size | literal }} as is_suppressed
    from slices
    group by
        slices.position,
        slices.slice_key,
        slices.slice_value
)

select
    counted.slice_key,
    counted.slice_value,
    counted.n,
    case when not counted.is_suppressed then counted.n_flips end as n_flips,
{% for name in ['n_to_positive', 'n_to_negative'] %}
    {{ 'case when not counted.is_suppressed then counted.' ~ name ~ ' end' if is_binary else as_int('null') }} as {{ name }},
{% endfor %}
    case when not counted.is_suppressed then {{ safe_divide('counted.n_flips', 'counted.n') }} end as share,
    counted.is_suppressed
from counted
order by
    counted.position,
    counted.slice_value
