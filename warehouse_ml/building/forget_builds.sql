-- grain: one row per relation
-- unit:  as in the table
-- null:  never
-- What is about to be defined anew is not what was written down, should it end in the middle.
delete from {{ 'builds' | wml }}
where relation in ({% for name in names %}{{ name | literal }}{% if not loop.last %}, {% endif %}{% endfor %})
