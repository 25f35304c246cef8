-- grain: none; takes one model of BigQuery ML away, if it is there
-- unit:  none
-- null:  none
drop model if exists {{ native | map('ident') | join('.') }}
