-- grain: one row
-- unit:  timestamps are instants in UTC; closed at the start, open at the end
-- null:  never
select
    {{ period_start(param('at'), period) }} as window_start,
    {{ add_period(period_start(param('at'), period), 1, period) }} as window_end
