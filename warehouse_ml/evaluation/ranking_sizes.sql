-- grain: one row per slice set with a label and a score, in order
-- unit:  first_slice and last_slice are its least and greatest slice_id; n_rows counts its rows, n_places all different
--        scores
-- null:  none
select
    {{ as_int('slices.slice_set') }} as slice_set,
    {{ as_int('min(slices.slice_id)') }} as first_slice,
    {{ as_int('max(slices.slice_id)') }} as last_slice,
    {{ as_int('sum(slices.n_positive + slices.n_negative)') }} as n_rows,
    {{ as_int('max(places.n_places)') }} as n_places
from wml_ranked_slices as slices
cross join (
    select max(ranked.place_and_label >> 1) as n_places
    from wml_ranked_rows as ranked
) as places
group by slices.slice_set
order by slice_set
