{{ config(on='retrain', model='late') }}
-- grain: one row when the newest version was trained more than four weeks before the clock, else none
-- unit:  value and bound in days
-- null:  never
{{ version_older_than(days=28) }}
