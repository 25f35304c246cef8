-- Rows of comparisons that are about to be written anew, at the same as_of.
delete from {{ 'comparisons' | wml }}
where comparison_id in (select pairs.comparison_id from wml_pairs as pairs)
