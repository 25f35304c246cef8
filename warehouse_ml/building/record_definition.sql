-- grain: one row per definition; one that is there already stays as it is
-- unit:  first_built_at is an instant in UTC
-- null:  git_commit outside a repository
insert into {{ 'definitions' | wml }} (
    definition_hash, relation, sql, upstream, git_commit, git_is_dirty, first_built_at
)
select
    {{ param('definition_hash') }},
    {{ param('relation') }},
    {{ param('sql') }},
    {{ param('upstream') }},
    cast({{ param('git_commit') }} as {{ type('string') }}),
    cast({{ param('git_is_dirty') }} as {{ type('bool') }}),
    {{ param('first_built_at') }}
from (select 1 as one) as always
where {{ param('definition_hash') }} not in (
    select definitions.definition_hash
    from {{ 'definitions' | wml }} as definitions
)
