-- grain: one row per unit, slice and metric; regression
-- unit:  the label's, its square, its logarithm; r2_score and explained_variance at the most 1
-- null:  value where nothing is labelled, where labels do not vary, where a logarithm has no value
{% set metrics = ['n_requests', 'n_labelled', 'label_coverage', 'mean_absolute_error', 'mean_squared_error',
    'root_mean_squared_error', 'mean_squared_log_error', 'median_absolute_error', 'r2_score', 'explained_variance',
    'mean_error', 'mean_prediction', 'mean_label'] %}
{{ create_scratch('wml_measured') }}
with sums as (
    select
        moments.unit,
        moments.slice_set,
        moments.slice_value,
        moments.n_requests,
        moments.n_labelled,
        moments.n_rows,
        moments.n_logarithms,
        moments.weight,
        moments.weight_squares,
        moments.label,
        moments.label_squares,
        moments.original_label,
        moments.prediction,
        moments.prediction_squares,
        moments.error,
        moments.absolute_error,
        moments.error_squares,
        moments.error_fourths,
        moments.log_error_squares,
        -- The sum of squares around the slice's own mean; what is left of rounding is no spread.
        case
            when moments.label_squares - moments.label * moments.label / nullif(moments.weight, 0e0) > 1e-14 * moments.label_squares
                then moments.label_squares - moments.label * moments.label / nullif(moments.weight, 0e0)
        end as label_spread,
        medians.median_absolute_error
    from wml_moments as moments
    left join wml_medians as medians
        on moments.unit = medians.unit
        and moments.slice_set = medians.slice_set
        and moments.slice_value = medians.slice_value
)

select
    sums.unit,
    sums.slice_set,
    sums.slice_value,
    sums.n_labelled,
    sums.n_rows,
    metric_names.metric,
    case
        when metric_names.metric = 'label_coverage' then {{ wilson | literal }}
        when metric_names.metric in ('mean_absolute_error', 'mean_squared_error', 'mean_error', 'mean_prediction', 'mean_label') then 'normal'
    end as ci_method,
    case metric_names.metric
        when 'n_requests' then sums.n_requests
        when 'n_labelled' then sums.n_labelled
        when 'label_coverage' then {{ safe_divide('sums.n_labelled', 'sums.n_requests') }}
        when 'mean_absolute_error' then {{ safe_divide('sums.absolute_error', 'sums.weight') }}
        when 'mean_squared_error' then {{ safe_divide('sums.error_squares', 'sums.weight') }}
        when 'root_mean_squared_error' then sqrt({{ safe_divide('sums.error_squares', 'sums.weight') }})
        when 'mean_squared_log_error' then case
            when sums.n_logarithms = sums.n_rows then {{ safe_divide('sums.log_error_squares', 'sums.weight') }}
        end
        when 'median_absolute_error' then sums.median_absolute_error
        when 'r2_score' then 1e0 - {{ safe_divide('sums.error_squares', 'sums.label_spread') }}
        when 'explained_variance' then
            1e0 - {{ safe_divide('sums.error_squares - sums.error * sums.error / nullif(sums.weight, 0e0)', 'sums.label_spread') }}
        when 'mean_error' then {{ safe_divide('sums.error', 'sums.weight') }}
        when 'mean_prediction' then {{ safe_divide('sums.prediction', 'sums.weight') }}
        when 'mean_label' then {{ safe_divide('sums.original_label', 'sums.weight') }}
    end as value,
    case metric_names.metric
        when 'mean_absolute_error' then {{ variance_of_mean('sums.absolute_error', 'sums.error_squares', 'sums.weight', 'sums.weight_squares') }}
        when 'mean_squared_error' then {{ variance_of_mean('sums.error_squares', 'sums.error_fourths', 'sums.weight', 'sums.weight_squares') }}
        when 'mean_error' then {{ variance_of_mean('sums.error', 'sums.error_squares', 'sums.weight', 'sums.weight_squares') }}
        when 'mean_prediction' then {{ variance_of_mean('sums.prediction', 'sums.prediction_squares', 'sums.weight', 'sums.weight_squares') }}
        when 'mean_label' then {{ variance_of_mean('sums.label', 'sums.label_squares', 'sums.weight', 'sums.weight_squares') }}
    end as variance,
    case metric_names.metric
        when 'n_requests' then null
        when 'n_labelled' then null
        when 'label_coverage' then sums.n_requests
        else coalesce(sums.weight, 0e0)
    end as denominator,
    case metric_names.metric
        when 'label_coverage' then sums.n_requests
        else sums.weight_squares
    end as denominator_squares,
    case metric_names.metric
        when 'label_coverage' then sums.n_requests
        else sums.n_rows
    end as n_own,
    case
        when sums.n_labelled = 0 then 'no labels known at as_of'
        when sums.n_rows = 0 then 'no predictions'
        when metric_names.metric = 'mean_squared_log_error' and sums.n_logarithms < sums.n_rows
            then 'a label or a prediction is negative'
        when metric_names.metric in ('r2_score', 'explained_variance') then 'labels do not vary'
        else 'denominator is 0'
    end as null_reason
from sums
cross join {{ names_table('metric', metrics) }} as metric_names
