-- grain: one row per relation, as last built
-- unit:  timestamps are instants in UTC
-- null:  inputs_hash is null where a source is a table that may change unseen
select
    builds.relation,
    builds.materialized,
    builds.definition_hash,
    builds.inputs_hash,
    builds.window_start,
    builds.as_of,
    builds.n_rows,
    builds.definition_hash in (
        select definitions.definition_hash
        from {{ 'definitions' | wml }} as definitions
    ) as is_defined
from {{ 'builds' | wml }} as builds
