-- grain: one row
-- unit:  counts of rows; first_* and last_* are the time column's own
-- null:  n_added and n_removed where no row can be equal; first_* and last_* without a time column
{% set sides = {'before': before, 'now': now} %}
with
{% for side, rows in sides.items() %}
{{ side }}_rows as (
    select
        training_rows.wml_row_hash,
        count(*) as n_rows,
        {{ 'min(training_rows.' ~ (time | ident) ~ ')' if time else 'null' }} as first_at,
        {{ 'max(training_rows.' ~ (time | ident) ~ ')' if time else 'null' }} as last_at
    from {{ rows }} as training_rows
    group by training_rows.wml_row_hash
){{ ',' }}

{% endfor %}
ends as (
    {% for side in sides %}
    select
        '{{ side }}' as side,
        coalesce(sum({{ side }}_rows.n_rows), 0) as n_rows,
        min({{ side }}_rows.first_at) as first_at,
        max({{ side }}_rows.last_at) as last_at
    from {{ side }}_rows
    {% if not loop.last %}
    union all
    {% endif %}
    {% endfor %}
),

changes as (
    select
        coalesce(sum(greatest(coalesce(now_rows.n_rows, 0) - coalesce(before_rows.n_rows, 0), 0)), 0) as n_added,
        coalesce(sum(greatest(coalesce(before_rows.n_rows, 0) - coalesce(now_rows.n_rows, 0), 0)), 0) as n_removed
    from before_rows
    full outer join now_rows on before_rows.wml_row_hash = now_rows.wml_row_hash
)

select
    {{ as_int('was.n_rows') }} as n_before,
    {{ as_int('became.n_rows') }} as n_now,
    {{ as_int('changes.n_added') if are_columns_equal else 'null' }} as n_added,
    {{ as_int('changes.n_removed') if are_columns_equal else 'null' }} as n_removed,
    was.first_at as first_before,
    was.last_at as last_before,
    became.first_at as first_now,
    became.last_at as last_now
from changes
inner join ends as was on was.side = 'before'
inner join ends as became on became.side = 'now'
