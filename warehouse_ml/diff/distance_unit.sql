-- grain: one row, which stands for the later rows
-- unit:  none
-- null:  window_start and window_end: the rows are all of them
{{ create_scratch('wml_due') }}
select
    {{ name | literal }} as evaluation_id,
    1 as unit,
    1 as version,
    cast(null as {{ type('timestamp') }}) as window_start,
    cast(null as {{ type('timestamp') }}) as window_end
