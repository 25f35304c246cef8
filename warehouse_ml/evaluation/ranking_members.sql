-- grain: one row per slice of these slice sets and combination of values that it holds
-- unit:  slice_id as in wml_ranked_slices
-- null:  never
{{ create_scratch('wml_slice_members') }}
{% for slice in slices if slice.index in some %}
select
    combinations.combination,
    slices.slice_id
from wml_combinations as combinations
inner join wml_ranked_slices as slices
    on combinations.unit = slices.unit
    and slices.slice_set = {{ slice.index }}
    and slices.slice_value = {{ slice_text(slice.names) }}
{% if not loop.last %}
union all
{% endif %}
{% endfor %}
