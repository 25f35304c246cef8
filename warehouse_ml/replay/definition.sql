-- grain: one row, none if the definition was never kept
-- unit:  timestamps are instants in UTC
-- null:  git_commit and git_is_dirty outside a repository
select
    definitions.definition_hash,
    definitions.relation,
    definitions.sql,
    definitions.upstream,
    definitions.git_commit,
    definitions.git_is_dirty,
    definitions.first_built_at
from {{ 'definitions' | wml }} as definitions
where definitions.definition_hash = {{ param('definition_hash') }}
