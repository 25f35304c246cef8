{{ config(on='retrain', model='late') }}
-- grain: one row when a month has begun since the newest version was trained, else none
-- unit:  due_at and last_at are instants in UTC
-- null:  last_at where there is no version yet
{{ on_schedule('@monthly') }}
