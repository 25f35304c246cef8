-- grain: one row per relation, as last built
-- unit:  timestamps are instants in UTC
-- null:  inputs_hash is null where a source is a table that may change unseen
select
    relation,
    materialized,
    definition_hash,
    inputs_hash,
    as_of,
    n_rows
from {{ 'builds' | wml }}
