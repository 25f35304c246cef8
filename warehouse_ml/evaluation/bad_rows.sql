-- grain: one row per reason why rows cannot be evaluated, and not one if they can
-- unit:  n_rows counts rows; example is the least of their request ids, shown is its value
-- null:  none
{# A day begins before the requests that are made on it. #}
{% set asked_at = add_interval('request_rows.requested_at', -1, 'day') if columns.is_dated_label else 'request_rows.requested_at' %}
{# What is refused, in order: the problem, its condition, and the value that is shown. #}
{% set problems = [('id', 'request_rows.request_id is null', none)] %}
{% if columns.has_weight %}
{% set problems = problems + [('weight', finite('request_rows.weight') ~ ' is null or request_rows.weight < 0', 'request_rows.weight')] %}
{% endif %}
{% if task != 'multiclass' %}
{% set problems = problems + [
    ('score', 'request_rows.score is not null and ' ~ finite('request_rows.score') ~ ' is null', 'request_rows.score'),
    ('label', 'request_rows.label is not null and ' ~ finite('request_rows.label') ~ ' is null', 'request_rows.label'),
] %}
{% endif %}
{% if task == 'binary' %}
{% set problems = problems + [
    ('range', 'request_rows.score < 0 or request_rows.score > 1', 'request_rows.score'),
    ('values', 'request_rows.label not in (0, 1)', 'request_rows.label'),
    ('decision', 'request_rows.prediction not in (0, 1)', 'request_rows.prediction'),
] %}
{% endif %}
{% if columns.has_label_known_at %}
{% set problems = problems + [('early', 'request_rows.label_known_at < ' ~ asked_at, 'request_rows.label_known_at')] %}
{% endif %}
with checked as (
    select
        request_rows.request_id,
        case
            {% for problem, condition, shown in problems %}
            when {{ condition }} then {{ problem | literal }}
            {% endfor %}
        end as problem,
        case
            {% for problem, condition, shown in problems %}
            when {{ condition }} then {{ as_string(shown or 'null') }}
            {% endfor %}
        end as shown_value
    from wml_joined as request_rows
    inner join wml_due as due
        on {% for key in window_keys %}{{ same('request_rows.' ~ key, 'due.' ~ key) }} and {% endfor %}true
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
    inner join (
        select distinct neighbours.row_key
        from neighbours
        where neighbours.row_key = neighbours.key_before
    ) as doubled
        on {{ fingerprint(['joined.request_id', 'joined.version']) }} = doubled.row_key
    left join wml_due as due
        on {% for key in window_keys %}{{ same('joined.' ~ key, 'due.' ~ key) }} and {% endfor %}true
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
