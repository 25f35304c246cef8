-- grain: one row per unit and request with an answer and a loss
-- unit:  losses as in the metrics they are named after; a searched column is text, or a number
-- null:  a searched column that is null, or a number that is not finite
{{ create_scratch('wml_search_asked') }}
select
    request_rows.unit,
    row_number() over () as row_id,
    {% if task == 'binary' %}
    case
        when request_rows.label = 1 then -ln(greatest(request_rows.score, 1e-15))
        else -ln(greatest(1e0 - request_rows.score, 1e-15))
    end as first_loss,
    case when request_rows.prediction = request_rows.label then 0e0 else 1e0 end as second_loss,
    {% elif task == 'regression' %}
    abs(request_rows.prediction - request_rows.label) as first_loss,
    (request_rows.prediction - request_rows.label) * (request_rows.prediction - request_rows.label) as second_loss,
    {% else %}
    case when request_rows.prediction = request_rows.label then 0e0 else 1e0 end as first_loss,
    cast(null as {{ type('double') }}) as second_loss,
    {% endif %}
    {% for column in columns %}
    {% if column.is_numeric %}
    {{ finite('searched.' ~ (column.column | ident)) }} as {{ column.name }}{% if not loop.last %},{% endif %}

    {% else %}
    {{ as_string('searched.' ~ (column.column | ident)) }} as {{ column.name }}{% if not loop.last %},{% endif %}

    {% endif %}
    {% endfor %}
from wml_rows as request_rows
inner join wml_due as due
    on request_rows.unit = due.unit
inner join (
{{ join_sql }}
) as searched
    on request_rows.request_id = {{ as_string('searched.request_id') }}
    and {{ same('due.version', as_int('searched.model_version' if has_version else 'null')) }}
where request_rows.label is not null
    and request_rows.prediction is not null
