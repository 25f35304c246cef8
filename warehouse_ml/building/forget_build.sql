-- grain: one row per relation
-- unit:  as in the table
-- null:  never
-- What is about to be defined anew is not what was written down, should it end in the middle.
delete from {{ 'builds' | wml }}
where relation = {{ param('relation') }}
