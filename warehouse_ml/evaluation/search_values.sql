-- grain: one row per searched column that is not cut into quarters, and value that it has
-- unit:  code is 1, 2, ... in the order of the labels; values of one label have one code, and that of nulls is 0
-- null:  number of a text, text of a number
{{ create_scratch('wml_search_values') }}
with found as (
    {% for column in columns if not column.is_quartered %}
    {% if not loop.first %}
    union all
    {% endif %}
    select distinct
        {{ as_int(column.index) }} as input,
        {% if column.is_numeric %}
        asked.{{ column.name }} as number,
        {{ as_string('null') }} as text
        {% else %}
        {{ as_double('null') }} as number,
        asked.{{ column.name }} as text
        {% endif %}
    from wml_search_asked as asked
    where asked.{{ column.name }} is not null
    {% endfor %}
),

labels as (
    select
        found.input,
        found.number,
        found.text,
        coalesce(found.text, {{ number_text('found.number') }}) as label
    from found
)

select
    labels.input,
    labels.number,
    labels.text,
    labels.label,
    case
        when labels.label = '(null)' then {{ as_small_int('0') }}
        else {{ as_small_int('dense_rank() over (partition by labels.input order by labels.label)') }}
    end as code
from labels
