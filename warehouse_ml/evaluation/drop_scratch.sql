-- A table of the connection that nobody needs any more.
drop table if exists {{ table }}
