-- grain: one row per unit, slice and metric; regression
-- unit:  the label's, its square, its logarithm; r2_score and explained_variance at the most 1
-- null:  ci_lower and ci_upper where metrics.sql makes them; value where nothing is labelled, where labels do not vary, where a logarithm has no value
{% set metrics = ['n_requests', 'n_labelled', 'label_coverage', 'mean_absolute_error', 'mean_squared_error',
    'root_mean_squared_error', 'mean_squared_log_error', 'median_absolute_error', 'r2_score', 'explained_variance',
    'mean_error', 'mean_prediction', 'mean_label'] %}
{# Without weights a sum over squared weights is the plain one. #}
{% set sq = 'moments.sq_' if columns.has_weight else 'moments.' %}
{# Each mean: its weighted sum, and the sums of it and of its square over squared weights. #}
{% set means = {
    'mean_absolute_error': ('absolute_error', 'error_squares'),
    'mean_squared_error': ('error_squares', 'error_fourths'),
    'mean_squared_log_error': ('log_error_squares', 'log_error_fourths'),
    'mean_error': ('error', 'error_squares'),
    'mean_prediction': ('prediction', 'prediction_squares'),
    'mean_label': ('label', 'label_squares'),
} %}
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
        moments.centre,
        moments.prediction,
        moments.error,
        moments.absolute_error,
        moments.error_squares,
        moments.log_error_squares,
        {% for name, (total, squares) in means.items() %}
        {{ variance_of_weighted_mean('moments.' ~ total, 'moments.weight', 'moments.weight_squares', sq ~ total, sq ~ squares) }} as {{ name }}_variance,
        {% endfor %}
        {{ safe_divide('moments.error', 'moments.weight') }} as bias,
        {{ safe_divide('moments.label', 'moments.weight') }} as centre_label,
        {% for name in ['error', 'error_squares', 'error_cubes', 'error_fourths', 'label', 'label_squares', 'label_cubes', 'label_fourths',
            'error_label', 'error_label_squares', 'error_squares_label', 'error_squares_label_squares'] %}
        {{ sq }}{{ name }} as sq_{{ name }},
        {% endfor %}
        -- The sum of squares around the slice's own mean; what is left of rounding is no spread.
        case
            when moments.label_squares - moments.label * moments.label / nullif(moments.weight, 0e0) > 1e-14 * moments.label_squares
                then moments.label_squares - moments.label * moments.label / nullif(moments.weight, 0e0)
        end as label_spread,
        medians.median_absolute_error,
        medians.ci_lower,
        medians.ci_upper
    from wml_moments as moments
    left join wml_medians as medians
        on moments.unit = medians.unit
        and moments.slice_set = medians.slice_set
        and moments.slice_value = medians.slice_value
),

-- Sums of fourth powers around the slice's own means, over squared weights.
fourths as (
    select
        sums.unit,
        sums.slice_set,
        sums.slice_value,
        {{ safe_divide('sums.error_squares', 'sums.label_spread') }} as unexplained,
        {{ safe_divide('sums.error_squares - sums.error * sums.bias', 'sums.label_spread') }} as unexplained_variance,
        sums.sq_error_squares_label_squares - 2e0 * sums.centre_label * sums.sq_error_squares_label
            + sums.centre_label * sums.centre_label * sums.sq_error_squares as error_and_label,
        sums.sq_error_label_squares - 2e0 * sums.centre_label * sums.sq_error_label
            + sums.centre_label * sums.centre_label * sums.sq_error as mean_error_and_label,
        sums.sq_label_squares - 2e0 * sums.centre_label * sums.sq_label
            + sums.centre_label * sums.centre_label * sums.weight_squares as label_twice,
        sums.sq_label_fourths - 4e0 * sums.centre_label * sums.sq_label_cubes
            + 6e0 * power(sums.centre_label, 2) * sums.sq_label_squares - 4e0 * power(sums.centre_label, 3) * sums.sq_label
            + power(sums.centre_label, 4) * sums.weight_squares as label_only,
        sums.sq_error_fourths - 4e0 * sums.bias * sums.sq_error_cubes
            + 6e0 * power(sums.bias, 2) * sums.sq_error_squares - 4e0 * power(sums.bias, 3) * sums.sq_error
            + power(sums.bias, 4) * sums.weight_squares as error_only
    from sums
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
        when metric_names.metric in ('mean_absolute_error', 'mean_squared_error', 'root_mean_squared_error', 'mean_squared_log_error')
            then 'log'
        when metric_names.metric in ('r2_score', 'explained_variance') then 'log_complement'
        when metric_names.metric = 'median_absolute_error' then {{ ('woodruff' if columns.has_weight else 'order_statistics') | literal }}
        when metric_names.metric in ('mean_error', 'mean_prediction', 'mean_label') then 'normal'
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
        when 'r2_score' then 1e0 - fourths.unexplained
        when 'explained_variance' then 1e0 - fourths.unexplained_variance
        when 'mean_error' then {{ safe_divide('sums.error', 'sums.weight') }}
        when 'mean_prediction' then {{ safe_divide('sums.prediction', 'sums.weight') }} + sums.centre
        when 'mean_label' then {{ safe_divide('sums.label', 'sums.weight') }} + sums.centre
    end as value,
    case metric_names.metric
        {% for name in means %}
        when {{ name | literal }} then sums.{{ name }}_variance
        {% endfor %}
        when 'root_mean_squared_error' then {{ safe_divide('sums.mean_squared_error_variance * sums.weight', '4e0 * sums.error_squares') }}
        when 'median_absolute_error' then power((sums.ci_upper - sums.ci_lower) / 3.919927969080108e0, 2)
        when 'r2_score' then {{ safe_divide(
            'sums.sq_error_fourths - 2e0 * fourths.unexplained * fourths.error_and_label + fourths.unexplained * fourths.unexplained * fourths.label_only',
            'sums.label_spread * sums.label_spread'
        ) }}
        when 'explained_variance' then {{ safe_divide(
            'fourths.error_only - 2e0 * fourths.unexplained_variance * (fourths.error_and_label - 2e0 * sums.bias * fourths.mean_error_and_label + sums.bias * sums.bias * fourths.label_twice) + fourths.unexplained_variance * fourths.unexplained_variance * fourths.label_only',
            'sums.label_spread * sums.label_spread'
        ) }}
    end as variance,
    {% for bound in ['lower', 'upper'] %}
    case when metric_names.metric = 'median_absolute_error' then sums.ci_{{ bound }} end as ci_{{ bound }},
    {% endfor %}
    case metric_names.metric
        when 'n_requests' then null
        when 'n_labelled' then null
        when 'label_coverage' then sums.n_requests
        else coalesce(sums.weight, 0e0)
    end as denominator,
    case metric_names.metric
        when 'n_requests' then null
        when 'n_labelled' then null
        when 'label_coverage' then sums.n_requests
        else {{ safe_divide('sums.weight * sums.weight', 'sums.weight_squares') }}
    end as n_effective,
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
left join fourths
    on sums.unit = fourths.unit
    and sums.slice_set = fourths.slice_set
    and sums.slice_value = fourths.slice_value
cross join {{ names_table('metric', metrics) }} as metric_names
