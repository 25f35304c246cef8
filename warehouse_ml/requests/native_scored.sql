-- grain: one row per pending request
-- unit:  score is a probability or, for a regression, the label's unit
-- null:  prediction of a regression; an input is null where the request had none
select
    scored.request_id,
    scored.requested_at,
{% for column in features %}
    scored.{{ column | ident }},
{% endfor %}
{% if task == 'regression' %}
    {{ as_double('scored.' ~ (('predicted_' ~ label) | ident)) }} as score,
    cast(null as {{ type('string') }}) as prediction
{% else %}
    (
        select max(answers.prob)
        from unnest(scored.{{ ('predicted_' ~ label ~ '_probs') | ident }}) as answers
{% if task == 'binary' %}
        where {{ as_string('answers.label') }} = {{ positive | literal }}
{% endif %}
    ) as score,
    {{ as_string('scored.' ~ (('predicted_' ~ label) | ident)) }} as prediction
{% endif %}
from ml.predict(model {{ native | map('ident') | join('.') }}, (
    select
        pending.request_id,
        pending.requested_at{% for column in features %},
        pending.{{ column | ident }}{% endfor %}

    from (
{{ asked }}
    ) as pending
)) as scored
