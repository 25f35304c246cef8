-- grain: one row per evaluation, version, window and as_of
-- unit:  label_coverage in [0, 1]
-- null:  window_start and window_end where the window is everything; positives but of a binary task; delays where no
--        label says when it became known; warning where there is nothing to warn of
{# Text is dear to write down, and a double most of all: of two labels, and of no weights, the words are known. #}
{% set label = 'request_rows.label' %}
{% if task == 'binary' %}
{% set label = 'case when request_rows.label = 1 then ' ~ as_string('1e0') ~ ' else ' ~ as_string('0e0') ~ ' end' %}
{% endif %}
{% set row_words = row_text(['request_rows.request_id', label, 'request_rows.weight' if columns.has_weight else as_string('1e0')]) %}
{% if task == 'binary' and not columns.has_weight %}
{% set row_words = 'request_rows.request_id || case when request_rows.label = 1 then ' ~ row_text(["''", as_string('1e0'), as_string('1e0')])
    ~ ' else ' ~ row_text(["''", as_string('0e0'), as_string('1e0')]) ~ ' end' %}
{% endif %}
insert into {{ 'evaluations' | wml }} (
    evaluation_id,
    evaluation,
    model,
    version,
    window_start,
    window_end,
    as_of,
    n_requests,
    n_labelled,
    label_coverage,
    is_mature,
    content_hash,
    definition_hash,
    n_labelled_positive,
    label_delay_p50_seconds,
    label_delay_p95_seconds,
    warning,
    task,
    rows_hash
)
with answered as (
    select
        judged.unit,
        {% if task == 'binary' %}
        {{ count_where('request_rows.label = 1') }} as n_positive,
        {% else %}
        cast(null as {{ type('int') }}) as n_positive,
        {% endif %}
        {% if columns.has_label_known_at %}
        {{ quantiles_at(
            'case when request_rows.label_known_at is not null then greatest(0e0, '
            ~ seconds_between('request_rows.requested_at', 'request_rows.label_known_at') ~ ') end',
            [(1, 2), (19, 20)]
        ) }} as delays,
        {% endif %}
        -- Which requests were judged, by which answers: whatever has the same was judged on the same rows.
        {{ sum_text(
            'case when request_rows.label is not null and (request_rows.prediction is not null or request_rows.score is not null) then '
            ~ hash_int(row_words) ~ ' end'
        ) }} as rows_hash
    from wml_joined as request_rows
    inner join wml_due as judged
        on {% for key in window_keys %}{{ same('request_rows.' ~ key, 'judged.' ~ key) }} and {% endfor %}true
    group by judged.unit
)

select
    due.evaluation_id,
    {{ param('evaluation') }} as evaluation,
    {{ param('model') }} as model,
    due.version,
    due.window_start,
    due.window_end,
    {{ param('as_of') }} as as_of,
    due.n_requests,
    due.n_labelled,
    {{ safe_divide('due.n_labelled', 'due.n_requests') }} as label_coverage,
    due.is_mature,
    due.content_hash,
    {{ param('definition_hash') }} as definition_hash,
    answered.n_positive as n_labelled_positive,
    {{ element('answered.delays', 1) if columns.has_label_known_at else as_double('null') }} as label_delay_p50_seconds,
    {{ element('answered.delays', 2) if columns.has_label_known_at else as_double('null') }} as label_delay_p95_seconds,
    {{ 'warnings.warning' if has_warnings else as_string('null') }} as warning,
    {{ task | literal }} as task,
    answered.rows_hash
from wml_due as due
inner join answered
    on due.unit = answered.unit
{% if has_warnings %}
left join wml_warnings as warnings
    on due.unit = warnings.unit
{% endif %}
