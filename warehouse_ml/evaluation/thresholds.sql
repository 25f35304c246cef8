-- grain: one row per unit, slice, further threshold and rate; binary task with scores
-- unit:  rates in [0, 1]; denominator is the rate's own, a sum of weights, and n_own the rows in it
-- null:  value where the denominator is 0; null_reason says so in words
{% set rates = {
    'selection_rate': ('selected', 'everybody'),
    'accuracy': ('correct', 'everybody'),
    'precision': ('selected_positive', 'selected'),
    'recall': ('selected_positive', 'positive'),
    'specificity': ('rejected_negative', 'negative'),
    'false_positive_rate': ('selected_negative', 'negative'),
    'false_negative_rate': ('rejected_positive', 'positive'),
} %}
{# Which labels, and which side of the threshold, each group of rows has. #}
{% set groups = {
    'everybody': ('', ''),
    'positive': ('= 1', ''),
    'negative': ('= 0', ''),
    'selected': ('', '>='),
    'selected_positive': ('= 1', '>='),
    'selected_negative': ('= 0', '>='),
    'rejected_positive': ('= 1', '<'),
    'rejected_negative': ('= 0', '<'),
} %}
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
with scored as (
    select
        request_rows.combination,
        request_rows.label,
        case when request_rows.label is not null and request_rows.score is not null then {{ row_weight }} end as weight,
        -- How many of the thresholds the score reaches.
        {% for threshold in thresholds %}
        case when request_rows.score >= {{ threshold | literal }} then 1 else 0 end{% if not loop.last %} +{% endif %}

        {% endfor %}
        as n_reached
    from wml_rows as request_rows
),

-- The finest cells: the rows are counted once, and every slice is a sum of cells.
finest as (
    select
        scored.combination,
        scored.label,
        scored.n_reached,
        count(scored.label) as n_labelled,
        count(scored.weight) as n_rows,
        coalesce(sum(scored.weight), 0e0) as weight,
        coalesce(sum(scored.weight * scored.weight), 0e0) as weight_squares
    from scored
    group by
        scored.combination,
        scored.label,
        scored.n_reached
),

cells as (
    select
        combinations.unit,
        {{ grouped_slice(slices, names) }},
        finest.label,
        finest.n_reached,
        sum(finest.n_labelled) as n_labelled,
        sum(finest.n_rows) as n_rows,
        sum(finest.weight) as weight,
        sum(finest.weight_squares) as weight_squares
    from finest
    inner join wml_combinations as combinations
        on finest.combination = combinations.combination
    group by grouping sets (
        {% for slice in slices %}
        (combinations.unit, {% for name in slice.names %}{{ name }}, {% endfor %}finest.label, finest.n_reached){% if not loop.last %},{% endif %}

        {% endfor %}
    )
),

placed as (
    select
        cells.unit,
        cells.slice_set,
        cells.slice_value,
        positions.position,
        sum(cells.n_labelled) as n_labelled,
        {% for group, (label, side) in groups.items() %}
        {% set condition = 'true' ~ (' and cells.label ' ~ label if label else '') ~ (' and cells.n_reached ' ~ side ~ ' positions.position' if side else '') %}
        {% for part, column in {'n_': 'n_rows', '': 'weight', 'squares_': 'weight_squares'}.items() %}
        sum(case when {{ condition }} then cells.{{ column }} else 0 end) as {{ part }}{{ group }}{% if not loop.last %},{% endif %}

        {% endfor %}
        {% if not loop.last %},{% endif %}

        {% endfor %}
    from cells
    cross join (
        select {{ as_int('position_names.position') }} as position
        from {{ names_table('position', range(1, thresholds | length + 1) | map('string') | list) }} as position_names
    ) as positions
    group by
        cells.unit,
        cells.slice_set,
        cells.slice_value,
        positions.position
),

measured as (
    select
        placed.unit,
        placed.slice_set,
        placed.slice_value,
        placed.n_labelled,
        placed.n_everybody as n_rows,
        rate_names.rate || '@' || case placed.position
            {% for threshold in thresholds %}
            when {{ loop.index }} then '{{ threshold }}'
            {% endfor %}
        end as metric,
        case rate_names.rate
            {% for rate, (counted, among) in rates.items() %}
            when {{ rate | literal }} then {{ 'placed.selected_positive + placed.rejected_negative' if counted == 'correct' else 'placed.' ~ counted }}
            {% endfor %}
        end as numerator,
        case rate_names.rate
            {% for rate, (counted, among) in rates.items() %}
            when {{ rate | literal }} then placed.{{ among }}
            {% endfor %}
        end as denominator,
        case rate_names.rate
            {% for rate, (counted, among) in rates.items() %}
            when {{ rate | literal }} then placed.squares_{{ among }}
            {% endfor %}
        end as denominator_squares,
        case rate_names.rate
            {% for rate, (counted, among) in rates.items() %}
            when {{ rate | literal }} then {{ 'placed.squares_selected_positive + placed.squares_rejected_negative' if counted == 'correct' else 'placed.squares_' ~ counted }}
            {% endfor %}
        end as numerator_squares,
        case rate_names.rate
            {% for rate, (counted, among) in rates.items() %}
            when {{ rate | literal }} then placed.n_{{ among }}
            {% endfor %}
        end as n_own
    from placed
    cross join {{ names_table('rate', rates | list) }} as rate_names
)

select
    measured.unit,
    measured.slice_set,
    measured.slice_value,
    measured.n_labelled,
    measured.n_rows,
    measured.metric,
    {{ wilson | literal }} as ci_method,
    {{ safe_divide('measured.numerator', 'measured.denominator') }} as value,
    measured.denominator,
    {% if columns.has_weight %}
    {{ effective_rows('measured.numerator', 'measured.denominator', 'measured.numerator_squares', 'measured.denominator_squares') }} as n_effective,
    {% else %}
    {{ safe_divide('measured.denominator * measured.denominator', 'measured.denominator_squares') }} as n_effective,
    {% endif %}
    measured.n_own,
    case
        when measured.n_labelled = 0 then 'no labels known at as_of'
        when measured.n_rows = 0 then 'no predictions'
        else 'denominator is 0'
    end as null_reason
from measured
