{#-
    grain: one row per label of a classifier, ascending in the order of the label's own type; else one row
    unit:  counts of rows; data_hash is a sum, so that the order of rows does not matter
    null:  label is null in the row that counts the missing labels, and where the label is a number to be learned
-#}
with hashed as (
    select
        read_rows.{{ label | ident }} as label,
        {{ row_hash('read_rows') }} as row_hash
    from (
{{ query }}
    ) as read_rows
)

select
{% if has_classes %}
    {{ as_string('hashed.label') }} as label,
{% else %}
    cast(null as {{ type('string') }}) as label,
{% endif %}
    count(*) as n_rows,
    {{ count_where('hashed.label is null') }} as n_without_label,
    {{ sum_text('hashed.row_hash') }} as data_hash
from hashed
{% if has_classes %}
group by hashed.label
order by hashed.label asc nulls last
limit {{ most }}
{% endif %}
