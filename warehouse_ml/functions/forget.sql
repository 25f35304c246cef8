-- A temporary table that nothing reads any more.
drop table if exists {{ relation | ident }}
