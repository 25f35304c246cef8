{{ config(requests='late_arrival_requests', threshold=0.3) }}
-- Will the flight arrive 15 minutes late or more? Asked two hours before it is due to leave.
-- grain: one row per request whose flight has arrived
-- unit:  as in late_arrival_requests
-- null:  is_late never; a feature that is null goes to the side of each split that suits such rows best

create or replace model late_arrival
options (
    model_type = 'boosted_tree_classifier',
    input_label_cols = ['is_late'],
    data_split_method = 'seq',
    data_split_col = 'requested_at',
    data_split_eval_fraction = 0.1,
    max_iterations = 24,
    learn_rate = 0.22,
    max_tree_depth = 5,
    min_tree_child_weight = 10,
    early_stop = false
) as
select
    carrier,
    origin,
    dest,
    distance_miles,
    local_hour,
    origin_flights_in_hour,
    seats,
    temperature_f,
    dew_point_f,
    wind_mph,
    precipitation_inches,
    visibility_miles,
    origin_late_rate,
    origin_overdue_rate,
    origin_delay_mean_minutes,
    destination_late_rate,
    destination_delay_mean_minutes,
    aircraft_is_airborne,
    aircraft_delay_minutes,
    aircraft_slack_minutes,
    route_late_rate,
    route_delay_mean_minutes,
    requested_at,
    is_late
from {{ ref('late_arrival_training') }}
