-- grain: one row per pair, slice of min_slice_size requests or more, and metric
-- unit:  value is the later version's; variance is that of the difference; n_pairs is the metric's own denominator in rows
-- null:  values where the denominator is 0; n_both to n_neither but for shares without weights, and variance for them;
--        flips of a regression
{# Outcomes are those of paired_cells.sql. A share is of the requests in which the event
   befell both versions, the later alone, the earlier alone, or neither. #}
{% set shares = {
    'accuracy': (['111', '000'], ['110', '001'], ['101', '010'], ['100', '011']),
    'selection_rate': (['111', '011'], ['110', '010'], ['101', '001'], ['100', '000']),
    'recall': (['111'], ['110'], ['101'], ['100']),
    'false_positive_rate': (['011'], ['010'], ['001'], ['000']),
} if task == 'binary' else {'accuracy': (['111'], ['110'], ['101'], ['100'])} if task == 'multiclass' else {} %}
{% set outcomes = ['111', '110', '101', '100', '011', '010', '001', '000'] if shares else [] %}
{# Without weights every sum of them is a count. #}
{% set sums = {'n_rows': 'n', 'weight': 'w', 'weight_squares': 's'} if columns.has_weight else {'n_rows': 'n'} %}
{% macro total(column, members) %}{% set column = column if columns.has_weight else 'n' %}({% for member in members %}totals.{{ column }}_{{ member }}{% if not loop.last %} + {% endif %}{% endfor %}){% endmacro %}
{% set parts = namespace(n=0) %}
{% macro named(metric) %}
    {% if parts.n %}
    union all
    {% endif %}
    {% set parts.n = parts.n + 1 %}
    select
        totals.pair,
        totals.slice_set,
        totals.slice_value,
        {{ metric | literal }} as metric,
        totals.n_flips,
        {% if shares %}
        {{ total('n', shares['accuracy'][1]) }} as n_gained,
        {{ total('n', shares['accuracy'][2]) }} as n_lost,
        {% else %}
        null as n_gained,
        null as n_lost,
        {% endif %}
{% endmacro %}
{% macro no_share() %}
        null as n_both,
        null as n_only,
        null as n_other_only,
        null as n_neither,
{% endmacro %}
{{ create_scratch('wml_paired_compared') }}
with totals as (
    select
        cells.pair,
        cells.slice_set,
        cells.slice_value,
        {% for outcome in outcomes %}
        {% for column, name in sums.items() %}
        sum(case when cells.outcome = {{ outcome | int }} then cells.{{ column }} else 0 end) as {{ name }}_{{ outcome }},
        {% endfor %}
        {% endfor %}
        {% for name in paired_means %}
        sum(cells.{{ name }}) as {{ name }},
        sum(cells.other_{{ name }}) as other_{{ name }},
        sum(cells.{{ name }}_change) as {{ name }}_change,
        {% endfor %}
        {{ 'sum(cells.n_flips)' if shares else 'null' }} as n_flips,
        sum(cells.n_rows) as n_rows,
        sum(cells.weight) as weight,
        sum(cells.weight_squares) as weight_squares
    from wml_paired_cells as cells
    group by
        cells.pair,
        cells.slice_set,
        cells.slice_value
    -- Of fewer requests nothing would be shown.
    having cells.slice_set = 0
        or sum(cells.n_rows) >= {{ param('min_slice_size') }}
),

{% if task == 'binary' %}
-- Precision is of those whom a version calls positive: its two denominators differ, and its variance is by the delta method.
precise as (
    select
        totals.pair,
        totals.slice_set,
        totals.slice_value,
        nullif({{ total('w', ['111', '110', '011', '010']) }}, 0e0) as called,
        nullif({{ total('w', ['111', '101', '011', '001']) }}, 0e0) as other_called,
        {{ safe_divide(total('w', ['111', '110']), total('w', ['111', '110', '011', '010'])) }} as value,
        {{ safe_divide(total('w', ['111', '101']), total('w', ['111', '101', '011', '001'])) }} as other_value
    from totals
),

{% endif %}
compared as (
    {% for metric, (both, only, other_only, neither) in shares.items() %}
    {% set all = both + only + other_only + neither %}
{{ named(metric) }}
        {% if columns.has_weight %}
{{ no_share() }}
        {% else %}
        {{ total('n', both) }} as n_both,
        {{ total('n', only) }} as n_only,
        {{ total('n', other_only) }} as n_other_only,
        {{ total('n', neither) }} as n_neither,
        {% endif %}
        {{ total('n', all) }} as n_pairs,
        {{ total('n', all) }} as n_own,
        {{ safe_divide(total('w', both + only), total('w', all)) }} as value,
        {{ safe_divide(total('w', both + other_only), total('w', all)) }} as other_value,
        {% if columns.has_weight %}
        {{ variance_of_mean(
            '(' ~ total('w', only) ~ ' - ' ~ total('w', other_only) ~ ')',
            total('w', only + other_only),
            total('w', all),
            total('s', all)
        ) }} as variance
        {% else %}
        null as variance
        {% endif %}
    from totals
    {% endfor %}
    {% if task == 'binary' %}
{{ named('precision') }}
{{ no_share() }}
        totals.n_111 + totals.n_110 + totals.n_101 + totals.n_011 + totals.n_010 + totals.n_001 as n_pairs,
        least({{ total('n', ['111', '110', '011', '010']) }}, {{ total('n', ['111', '101', '011', '001']) }}) as n_own,
        precise.value,
        precise.other_value,
        {{ total('s', ['111']) }} * power((1e0 - precise.value) / precise.called - (1e0 - precise.other_value) / precise.other_called, 2)
        + {{ total('s', ['011']) }} * power(precise.value / precise.called - precise.other_value / precise.other_called, 2)
        + {{ total('s', ['110']) }} * power((1e0 - precise.value) / precise.called, 2)
        + {{ total('s', ['010']) }} * power(precise.value / precise.called, 2)
        + {{ total('s', ['101']) }} * power((1e0 - precise.other_value) / precise.other_called, 2)
        + {{ total('s', ['001']) }} * power(precise.other_value / precise.other_called, 2) as variance
    from totals
    inner join precise
        on totals.pair = precise.pair
        and totals.slice_set = precise.slice_set
        and totals.slice_value = precise.slice_value
    {% endif %}
    {% if has_paired_ranking %}
{{ named('roc_auc') }}
{{ no_share() }}
        totals.n_rows as n_pairs,
        least({{ total('n', ['111', '110', '101', '100']) }}, {{ total('n', ['011', '010', '001', '000']) }}) as n_own,
        ranking.roc_auc as value,
        ranking.other_roc_auc as other_value,
        ranking.roc_auc_variance as variance
    from totals
    left join wml_paired_ranking as ranking
        on totals.pair = ranking.pair
        and totals.slice_set = ranking.slice_set
        and totals.slice_value = ranking.slice_value
    {% endif %}
    {% for metric in paired_means %}
{{ named(metric) }}
{{ no_share() }}
        totals.n_rows as n_pairs,
        totals.n_rows as n_own,
        {{ safe_divide('totals.' ~ metric, 'totals.weight') }} as value,
        {{ safe_divide('totals.other_' ~ metric, 'totals.weight') }} as other_value,
        {{ variance_of_mean(
            '(totals.' ~ metric ~ ' - totals.other_' ~ metric ~ ')',
            'totals.' ~ metric ~ '_change',
            'totals.weight',
            'totals.weight_squares'
        ) }} as variance
    from totals
    {% endfor %}
)

select
    compared.pair,
    compared.slice_set,
    compared.slice_value,
    compared.metric,
    compared.n_flips,
    compared.n_gained,
    compared.n_lost,
    {{ as_double('compared.n_both') }} as n_both,
    {{ as_double('compared.n_only') }} as n_only,
    {{ as_double('compared.n_other_only') }} as n_other_only,
    {{ as_double('compared.n_neither') }} as n_neither,
    compared.n_pairs,
    compared.n_own,
    compared.value,
    compared.other_value,
    compared.variance
from compared
