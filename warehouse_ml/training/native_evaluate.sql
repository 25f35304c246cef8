-- grain: one row
-- unit:  as BigQuery ML's ML.EVALUATE has it: of the rows that it held out, or of all where it held out none
-- null:  a metric that is not defined
select evaluated.*
from ml.evaluate(model {{ native | map('ident') | join('.') }}{% if threshold != 0.5 %}, struct({{ threshold | literal }} as threshold){% endif %}) as evaluated
