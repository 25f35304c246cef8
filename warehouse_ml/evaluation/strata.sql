-- grain: one row per unit, slice that control adds or needs, and the slice that is compared within it
-- unit:  texts as slice_value has them; control_value is in the order of the control's own slice
-- null:  none
{{ create_scratch('wml_strata') }}
{% for stratum in strata %}
select distinct
    combinations.unit,
    {{ stratum.slice_set }} as slice_set,
    {{ slice_text(stratum.slice_names) }} as slice_value,
    {{ stratum.slice_key | literal }} as slice_key,
    {{ slice_text(stratum.names) }} as group_value,
    {{ stratum.control_set }} as control_set,
    {{ stratum.control_key | literal }} as control_key,
    {{ slice_text(stratum.control_names) }} as control_value
from wml_combinations as combinations
{% if not loop.last %}
union all
{% endif %}
{% endfor %}
