-- grain: one row per metric that a version had at its own training, on the rows of a comparable group
-- unit:  as in wml.metrics
-- null:  what is told of pairs
select
    held_out.metric,
    held_out.value as other_value,
    cast(null as {{ type('double') }}) as difference,
    cast(null as {{ type('double') }}) as ci_lower,
    cast(null as {{ type('double') }}) as ci_upper,
    cast(null as {{ type('double') }}) as p_value
from {{ 'held_out_metrics' | wml }} as held_out
where
    held_out.model = {{ param('model') }}
    and held_out.version = {{ param('version') }}
    and held_out.comparable_group = {{ param('comparable_group') }}
order by
    held_out.metric
