-- grain: one row per version, or per line of the ledger
-- unit:  timestamps are instants in UTC
-- null:  git_commit outside a repository; a version in the ledger when the alias was taken away
create or replace view {{ view | wml }} as
select
{% for column in columns %}
    {{ column | ident }}{% if not loop.last %},{% endif %}

{% endfor %}
from {{ read_parquet(path) }}
