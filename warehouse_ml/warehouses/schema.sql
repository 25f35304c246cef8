-- The schema of the toolkit's own tables.
create schema if not exists wml
