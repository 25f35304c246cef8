-- grain: none; one model of BigQuery ML is written to Cloud Storage
-- unit:  none
-- null:  none
export model {{ native | map('ident') | join('.') }}
options (uri = {{ uri | literal }})
