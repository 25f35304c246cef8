-- grain: one row per reason why rows cannot be evaluated, and not one if they can
-- unit:  n_rows counts rows; example is the least of their request ids, shown is its value
-- null:  none
{# A day begins before the requests that are made on it. #}
{% set asked_at = add_interval('request_rows.requested_at', -1, 'day') if columns.is_dated_label else 'request_rows.requested_at' %}
with checked as (
    select
        request_rows.request_id,
        {% if task == 'multiclass' %}
        case
            when request_rows.request_id is null then 'id'
            when {{ finite('request_rows.weight') }} is null or request_rows.weight < 0 then 'weight'
            when request_rows.label_known_at < {{ asked_at }} then 'early'
        end as problem,
        case
            when {{ finite('request_rows.weight') }} is null or request_rows.weight < 0
                then {{ as_string('request_rows.weight') }}
            else {{ as_string('request_rows.label_known_at') }}
        end as shown_value,
        {% else %}
        case
            when request_rows.request_id is null then 'id'
            when {{ finite('request_rows.weight') }} is null or request_rows.weight < 0 then 'weight'
            when request_rows.score is not null and {{ finite('request_rows.score') }} is null then 'score'
            when request_rows.label is not null and {{ finite('request_rows.label') }} is null then 'label'
            {% if task == 'binary' %}
            when request_rows.score < 0 or request_rows.score > 1 then 'range'
            when request_rows.label not in (0, 1) then 'values'
            when request_rows.prediction not in (0, 1) then 'decision'
            {% endif %}
            when request_rows.label_known_at < {{ asked_at }} then 'early'
        end as problem,
        case
            when {{ finite('request_rows.weight') }} is null or request_rows.weight < 0
                then {{ as_string('request_rows.weight') }}
            when request_rows.score is not null
                and ({{ finite('request_rows.score') }} is null {% if task == 'binary' %}or request_rows.score < 0 or request_rows.score > 1{% endif %})
                then {{ as_string('request_rows.score') }}
            when request_rows.label is not null
                and ({{ finite('request_rows.label') }} is null {% if task == 'binary' %}or request_rows.label not in (0, 1){% endif %})
                then {{ as_string('request_rows.label') }}
            {% if task == 'binary' %}
            when request_rows.prediction not in (0, 1) then {{ as_string('request_rows.prediction') }}
            {% endif %}
            else {{ as_string('request_rows.label_known_at') }}
        end as shown_value,
        {% endif %}
        request_rows.weight
    from wml_joined as request_rows
    inner join wml_due as due
        on {{ same('request_rows.version', 'due.version') }}
        and {{ same('request_rows.window_start', 'due.window_start') }}
),

bad as (
    select
        checked.problem,
        count(*) as n_rows,
        min(checked.request_id) as example,
        min(checked.shown_value) as shown_value
    from checked
    where checked.problem is not null
    group by checked.problem
),

-- To sort numbers is cheaper than to group ids. Two ids may share a fingerprint, so that it only tells where to look.
keyed as (
    select {{ fingerprint(['joined.request_id', 'joined.version']) }} as row_key
    from wml_joined as joined
    {{ sorted_first('row_key') }}
),

neighbours as (
    select
        keyed.row_key,
        lag(keyed.row_key) {{ over_sorted('keyed.row_key') }} as key_before
    from keyed
),

twice as (
    select
        joined.request_id,
        joined.version,
        count(*) as n_rows
    from wml_joined as joined
    left join wml_due as due
        on {{ same('joined.version', 'due.version') }}
        and {{ same('joined.window_start', 'due.window_start') }}
    where {{ fingerprint(['joined.request_id', 'joined.version']) }} in (
        select neighbours.row_key
        from neighbours
        where neighbours.row_key = neighbours.key_before
    )
    group by
        joined.request_id,
        joined.version
    having count(*) > 1
        and count(due.unit) > 0
)

select
    bad.problem,
    {{ as_int('bad.n_rows') }} as n_rows,
    bad.example,
    bad.shown_value
from bad
union all
select
    'twice' as problem,
    {{ as_int('count(*)') }} as n_rows,
    min(twice.request_id) as example,
    {{ as_string('max(twice.n_rows)') }} as shown_value
from twice
having count(*) > 0
order by
    n_rows desc,
    problem
