-- grain: one row per unit that is not mature, with some labels known
-- unit:  warning is a sentence for people
-- null:  warning where nothing points to labels that mislead
-- Labels that are known already mislead where they come sooner for one outcome or for one group. The first is seen in
-- windows that are mature: how much of each outcome was known when they were as old. A difference counts when its p-value
-- is below 0.001 (two proportions, pooled; between groups times the number of pairs of groups) and it is large enough to
-- matter: 5 points of a hundred between outcomes, 10 between groups.
{% macro percent(share) %}{{ as_string(as_int('round(100e0 * (' ~ share ~ '))')) }} || ' %'{% endmacro %}
{# Two proportions, pooled: what they are of counts, k1 of n1 and k2 of n2. #}
{% macro z(k1, n1, k2, n2) -%}
abs({{ k1 }} / {{ n1 }} - {{ k2 }} / {{ n2 }})
            / sqrt(nullif(({{ k1 }} + {{ k2 }}) * ({{ n1 }} + {{ n2 }} - {{ k1 }} - {{ k2 }}) / (({{ n1 }} + {{ n2 }}) * {{ n1 }} * {{ n2 }}), 0e0))
{%- endmacro %}
{% set found = namespace(single=[]) %}
{% for slice in slices %}
{% if slice.names | length == 1 %}
{% set found.single = found.single + [slice.index] %}
{% endif %}
{% endfor %}
{% set single = found.single %}
{{ create_scratch('wml_warnings') }}
with immature as (
    select
        due.unit,
        due.n_requests,
        due.n_labelled,
        {{ safe_divide('due.n_labelled', 'due.n_requests') }} as coverage,
        {{ seconds_between('due.window_start', param('as_of')) }} as age
    from wml_due as due
    where not due.is_mature
        and due.n_labelled > 0
        and due.n_labelled < due.n_requests
),

{% if task == 'binary' %}
{% if window != 'all' %}
past_rows as (
    {% if has_since %}
    -- Windows that are closed were not read.
    select
        {{ as_int('earlier.model_version' if columns.has_version else 'null') }} as version,
        {{ period_start('cast(earlier.requested_at as ' ~ type('timestamp') ~ ')', window) }} as window_start,
        cast(earlier.label_known_at as {{ type('timestamp') }}) as label_known_at,
        {{ as_double(as_int('earlier.label') if columns.is_boolean_label else 'earlier.label') }} as label
    from (
{{ join_sql }}
    ) as earlier
    where earlier.requested_at >= {{ param('past_from') }}
        and earlier.requested_at < {{ param('since') }}
        and earlier.label_known_at <= {{ param('as_of') }}
    union all
    {% endif %}
    select
        joined.version,
        joined.window_start,
        joined.label_known_at,
        joined.label
    from wml_joined as joined
    where joined.requested_at >= {{ param('past_from') }}
        and joined.label is not null
),

-- The same requests, whichever version answered them.
mature_rows as (
    select
        past_rows.window_start,
        past_rows.label,
        {{ seconds_between('past_rows.window_start', 'past_rows.label_known_at') }} as age
    from past_rows
    where past_rows.window_start >= {{ param('past_from') }}
        and {{ seconds_between(add_period('past_rows.window_start', 1, window), param('as_of')) }} >= {{ param('maturity_seconds') }}
        and past_rows.label_known_at is not null
    qualify {{ same('past_rows.version', 'min(past_rows.version) over (partition by past_rows.window_start)') }}
),

past as (
    select
        immature.unit,
        count(distinct mature_rows.window_start) as n_windows,
        {% for name, label in {'positive': 1, 'negative': 0}.items() %}
        nullif({{ as_double(count_where('mature_rows.label = ' ~ label)) }}, 0e0) as n_{{ name }},
        {{ as_double(count_where('mature_rows.label = ' ~ label ~ ' and mature_rows.age <= immature.age')) }} as n_{{ name }}_known{% if not loop.last %},{% endif %}

        {% endfor %}
    from immature
    cross join mature_rows
    group by immature.unit
),

{% endif %}
known as (
    select
        request_rows.unit,
        {{ as_double('count(request_rows.label)') }} as n_known,
        {{ as_double('sum(request_rows.label)') }} as n_positive
    from wml_rows as request_rows
    where request_rows.label is not null
    group by request_rows.unit
),

outcomes as (
    select
        immature.unit,
        known.n_known,
        known.n_positive / known.n_known as prevalence,
        {% if window != 'all' %}
        past.n_windows,
        past.n_positive_known / past.n_positive as positive_known,
        past.n_negative_known / past.n_negative as negative_known,
        past.n_positive / (past.n_positive + past.n_negative) as past_prevalence,
        {{ z('past.n_positive_known', 'past.n_positive', 'past.n_negative_known', 'past.n_negative') }} as z_sooner,
        {{ z('known.n_positive', 'known.n_known', 'past.n_positive', '(past.n_positive + past.n_negative)') }} as z_prevalence
        {% else %}
        cast(null as {{ type('int') }}) as n_windows
        {% endif %}
    from immature
    inner join known
        on immature.unit = known.unit
    {% if window != 'all' %}
    left join past
        on immature.unit = past.unit
    {% endif %}
),

outcome_warnings as (
    select
        outcomes.unit,
        case
            when outcomes.prevalence = 1 and outcomes.n_known >= 10
                then 'all ' || {{ as_string(as_int('outcomes.n_known')) }} || ' known answers are positive, as if negative ones were known only later'
            {% if window != 'all' %}
            when outcomes.z_prevalence > 3.290526731491926e0
                and outcomes.prevalence - outcomes.past_prevalence >= 0.05e0
                and outcomes.prevalence >= 1.5e0 * outcomes.past_prevalence
                then {{ percent('outcomes.prevalence') }} || ' of the known answers are positive, against ' || {{ percent('outcomes.past_prevalence') }}
                    || ' in mature windows'
            {% endif %}
        end as one_sided,
        case
            when outcomes.n_windows is null then 'there is no mature window to compare with'
            {% if window != 'all' %}
            when outcomes.z_sooner > 3.290526731491926e0
                and abs(outcomes.positive_known - outcomes.negative_known) >= 0.05e0
                then case when outcomes.positive_known > outcomes.negative_known then 'positives' else 'negatives' end
                    || ' are known sooner: '
                    || {{ percent('greatest(outcomes.positive_known, outcomes.negative_known)') }} || ' against '
                    || {{ percent('least(outcomes.positive_known, outcomes.negative_known)') }}
                    || ' when ' || {{ as_string('outcomes.n_windows') }}
                    || case when outcomes.n_windows = 1 then ' mature window was' else ' mature windows were' end
                    || ' as old; prevalence and precision are too '
                    || case when outcomes.positive_known > outcomes.negative_known then 'high' else 'low' end
            {% endif %}
        end as sooner
    from outcomes
),
{% endif %}

{% if single %}
covered as (
    select
        shown.unit,
        shown.slice_set,
        shown.slice_key,
        shown.slice_value,
        shown.value,
        shown.denominator,
        row_number() over (
            partition by shown.unit, shown.slice_set
            order by shown.value, shown.slice_value
        ) as position_up,
        row_number() over (
            partition by shown.unit, shown.slice_set
            order by shown.value desc, shown.slice_value desc
        ) as position_down
    from wml_metric as shown
    inner join immature
        on shown.unit = immature.unit
    where shown.metric = 'label_coverage'
        and shown.slice_set in ({{ single | join(', ') }})
        and shown.denominator >= 30
        and shown.denominator >= {{ param('min_slice_size') }}
),

extremes as (
    select
        covered.unit,
        covered.slice_set,
        covered.slice_key,
        {% for end, position in {'lowest': 'position_up', 'highest': 'position_down'}.items() %}
        {% for column in ['slice_value', 'value', 'denominator'] %}
        max(case when covered.{{ position }} = 1 then covered.{{ column }} end) as {{ end }}_{{ column }},
        {% endfor %}
        {% endfor %}
        count(*) * (count(*) - 1e0) / 2e0 as n_pairs
    from covered
    group by
        covered.unit,
        covered.slice_set,
        covered.slice_key
    having max(covered.value) - min(covered.value) >= 0.1e0
),

gaps as (
    select
        extremes.unit,
        extremes.slice_set,
        extremes.slice_key,
        extremes.lowest_slice_value,
        extremes.lowest_value,
        extremes.highest_slice_value,
        extremes.highest_value,
        extremes.n_pairs,
        {{ z('extremes.lowest_value * extremes.lowest_denominator', 'extremes.lowest_denominator',
            'extremes.highest_value * extremes.highest_denominator', 'extremes.highest_denominator') }} as z
    from extremes
),

group_warnings as (
    select
        gaps.unit,
        'by ' || gaps.slice_key || ', ' || {{ percent('gaps.highest_value') }} || ' are known of ' || gaps.highest_slice_value
        || ' and ' || {{ percent('gaps.lowest_value') }} || ' of ' || gaps.lowest_slice_value as sooner
    from gaps
    where 2e0 * ({{ normal_upper_tail('gaps.z') }}) * gaps.n_pairs < 0.001e0
    -- One key says enough: that with the widest gap, and of equal ones the first.
    qualify row_number() over (
        partition by gaps.unit
        order by gaps.highest_value - gaps.lowest_value desc, gaps.slice_set
    ) = 1
),

{% endif %}
sentences as (
    select
        immature.unit,
        immature.coverage,
        substr(
            {% if task == 'binary' %}
            coalesce('; ' || outcome_warnings.one_sided, '')
            || coalesce('; ' || outcome_warnings.sooner, '') ||
            {% endif %}
            {{ "coalesce('; ' || group_warnings.sooner, '')" if single else "''" }},
            3
        ) as text
    from immature
    {% if task == 'binary' %}
    left join outcome_warnings
        on immature.unit = outcome_warnings.unit
    {% endif %}
    {% if single %}
    left join group_warnings
        on immature.unit = group_warnings.unit
    {% endif %}
)

select
    sentences.unit,
    'not mature, ' || {{ percent('sentences.coverage') }} || ' of the answers are known: ' || sentences.text as warning
from sentences
where sentences.text <> ''
