-- grain: one row per slice from first_slice to last_slice and combination of values that it holds
-- unit:  slice_id as in wml_ranked_slices; slice_set is its number
-- null:  never
{{ create_scratch('wml_slice_members') }}
{% for slice in slices if slice.index in some %}
select
    combinations.combination,
    slices.slice_set,
    slices.slice_id
from wml_combinations as combinations
inner join wml_ranked_slices as slices
    on combinations.unit = slices.unit
    and slices.slice_set = {{ slice.index }}
    and slices.slice_value = {{ slice_text(slice.names) }}
where slices.slice_id between {{ first_slice }} and {{ last_slice }}
{% if not loop.last %}
union all
{% endif %}
{% endfor %}
