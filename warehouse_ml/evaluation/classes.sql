-- grain: one row per unit, slice, class and rate; multiclass
-- unit:  rates in [0, 1]; denominator is the rate's own, a sum of weights, and n_own the rows in it
-- null:  value where the denominator is 0; null_reason says so in words
insert into wml_measured (
    unit,
    slice_set,
    slice_value,
    n_labelled,
    n_rows,
    metric,
    ci_method,
    value,
    denominator,
    n_effective,
    n_own,
    null_reason
)
with known as (
    select
        confusion.unit,
        confusion.slice_set,
        confusion.slice_value,
        confusion.label,
        confusion.prediction,
        confusion.n_rows,
        confusion.weight,
        confusion.weight_squares
    from wml_confusion as confusion
    where confusion.label is not null
        and confusion.prediction is not null
),

-- Every class that occurs in the window, so that each slice has a row for it.
classes as (
    select
        known.unit,
        known.label as class
    from known
    where known.slice_set = 0
    union distinct
    select
        known.unit,
        known.prediction as class
    from known
    where known.slice_set = 0
),

counted as (
    select
        known.unit,
        known.slice_set,
        known.slice_value,
        classes.class,
        sum(known.n_rows) as n_rows,
        {% for group, condition in {
            'labelled': 'known.label = classes.class',
            'predicted': 'known.prediction = classes.class',
            'correct': 'known.label = classes.class and known.prediction = classes.class',
        }.items() %}
        {% for part, column in {'n_': 'n_rows', '': 'weight', 'squares_': 'weight_squares'}.items() %}
        sum(case when {{ condition }} then known.{{ column }} else 0 end) as {{ part }}{{ group }}{% if not loop.last %},{% endif %}

        {% endfor %}
        {% if not loop.last %},{% endif %}

        {% endfor %}
    from known
    inner join classes
        on known.unit = classes.unit
    group by
        known.unit,
        known.slice_set,
        known.slice_value,
        classes.class
),

measured as (
    {% for rate in ['precision', 'recall', 'f1'] %}
    {# F1 is of the rows that are of the class, or are called so. #}
    {% set parts = {'precision': ['predicted'], 'recall': ['labelled'], 'f1': ['labelled', 'predicted']}[rate] %}
    select
        counted.unit,
        counted.slice_set,
        counted.slice_value,
        counted.n_rows,
        '{{ rate }}[' || counted.class || ']' as metric,
        {{ "'wilson_jaccard'" if rate == 'f1' else wilson | literal }} as ci_method,
        counted.correct,
        counted.squares_correct,
        {% for part in ['n_', '', 'squares_'] %}
        counted.{{ part }}{{ parts[0] }}{% if rate == 'f1' %} + counted.{{ part }}{{ parts[1] }} - counted.{{ part }}correct{% endif %} as {{ part }}among{% if not loop.last %},{% endif %}

        {% endfor %}
    from counted
    {% if not loop.last %}
    union all
    {% endif %}
    {% endfor %}
)

select
    measured.unit,
    measured.slice_set,
    measured.slice_value,
    measured.n_rows as n_labelled,
    measured.n_rows,
    measured.metric,
    measured.ci_method,
    case
        when measured.ci_method = 'wilson_jaccard' then {{ safe_divide('2e0 * measured.correct', 'measured.among + measured.correct') }}
        else {{ safe_divide('measured.correct', 'measured.among') }}
    end as value,
    measured.among as denominator,
    {% if columns.has_weight %}
    {{ effective_rows('measured.correct', 'measured.among', 'measured.squares_correct', 'measured.squares_among') }} as n_effective,
    {% else %}
    {{ safe_divide('measured.among * measured.among', 'measured.squares_among') }} as n_effective,
    {% endif %}
    measured.n_among as n_own,
    'denominator is 0' as null_reason
from measured
