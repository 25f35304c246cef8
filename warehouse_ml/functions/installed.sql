-- grain: one row per table function of a champion that this warehouse has
-- unit:  told is the text that says which version it is
-- null:  never
select
    function_name as name,
    comment as told
from duckdb_functions()
where
    function_type = 'table_macro'
    and not internal
    and starts_with(comment, {{ mark | literal }})
