{{ config(requests='late_requests', threshold=var('alarm_at')) }}
-- grain: one row per flight whose arrival is known
-- unit:  as in the requests
-- null:  numbers are imputed with their mean

create or replace model late
options (
    model_type = 'logistic_reg',
    input_label_cols = ['is_late'],
    data_split_method = 'seq',
    data_split_col = 'requested_at'
) as
select
    requests.origin,
    requests.carrier,
    requests.distance_miles,
    requests.departure_hour,
    requests.departure_weekday,
    requests.requested_at,
    labels.is_late
from {{ ref('late_requests') }} as requests
inner join {{ ref('late_labels') }} as labels
    on requests.request_id = labels.request_id
