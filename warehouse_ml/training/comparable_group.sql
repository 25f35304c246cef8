-- grain: one row
-- unit:  a hash, in hexadecimal
-- null:  never null
{% set parts = told | map('literal') | list + ['count(*)'] %}
{% if is_hashed %}
{% set parts = parts + [sum_text(hash_int(row_text(columns | map('ident') | list)))] %}
{% endif %}
select {{ hash_text(row_text(parts)) }} as comparable_group
from {{ relation | ident }} as training_rows
where training_rows.{{ split | ident }} = {{ param('side') }}
