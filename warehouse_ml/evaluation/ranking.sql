-- grain: one row per unit and slice from first_slice to last_slice in which a label and a score are known; binary task, no weights
-- unit:  roc_auc, average_precision and kolmogorov_smirnov in [0, 1], and the variances of the first two
-- null:  roc_auc and kolmogorov_smirnov where only one class is there, average_precision where no label is positive, a
--        variance of fewer than two
-- Exact, ties count half. A row's placement is the share of the other class that its score beats (DeLong, DeLong and
-- Clarke-Pearson, 1988): the mean placement of the positives is the area, and the spread of placements its variance.
-- Only the positives are looked at: a negative's placement counts the positives that it beats, and the sum of its
-- squares over the negatives is one over pairs of positives, of the negatives above both: those above the larger.
-- A row moves average precision by its own precision and by the precisions of the positives at and below it, which are
-- those without it (delete-one: the infinitesimal form is too small near the top). Sums over those are taken of buckets
-- of the rank from the top, an eighth of a natural logarithm wide: a variance needs no more.
{% if is_first %}{{ create_scratch('wml_ranking') }}{% else %}insert into wml_ranking{% endif %}

with slices as (
    select
        slices.slice_id - {{ first_slice }} as slice_number,
        slices.unit,
        slices.slice_set,
        slices.slice_value,
        {{ as_double('slices.n_positive') }} as n_positive,
        {{ as_double('slices.n_negative') }} as n_negative,
        {{ as_double('sum(slices.n_positive + slices.n_negative) over slices_before - slices.n_positive - slices.n_negative') }} as rows_before,
        {{ as_double('sum(slices.n_positive) over slices_before - slices.n_positive') }} as positives_before
    from wml_ranked_slices as slices
    where slices.slice_id between {{ first_slice }} and {{ last_slice }}
    window slices_before as (order by slices.slice_id rows between unbounded preceding and current row)
),

placed as (
    select
        positives.slice_number,
        slices.n_positive,
        slices.n_negative,
        {% if has_ties %}
        {{ as_double('positives.n_tied') }} as negatives_equal,
        {{ as_double('coalesce(positives.n_rows, slices.n_positive + slices.positives_before - positives.positive_position)') }} as n_rows,
        {% else %}
        0e0 as negatives_equal,
        1e0 as n_rows,
        {% endif %}
        {{ as_double('positives.positive_position') }} - slices.positives_before as positives_below,
        {{ as_double('positives.row_position') }} - slices.rows_before - {{ as_double('positives.positive_position') }} + slices.positives_before as negatives_to
    from wml_ranked_positives as positives
    inner join slices
        on positives.slice_number = slices.slice_number
),

-- n_from counts the rows at or above the score.
beaten as {{ materialized() }} (
    select
        placed.slice_number,
        {% if has_ties %}
        placed.n_rows,
        placed.negatives_equal,
        {% endif %}
        placed.positives_below,
        placed.negatives_to - placed.negatives_equal as negatives_below,
        placed.n_positive - placed.positives_below as positives_from,
        placed.n_positive + placed.n_negative - placed.positives_below - placed.negatives_to + placed.negatives_equal as n_from,
        -- The shares at and above a threshold are furthest apart at a positive's score, or just above one; both are
        -- multiplied by the product of the classes' rows, so that there is no division, and no rounding.
        greatest(
            abs((placed.negatives_to - placed.negatives_equal) * placed.n_positive - placed.positives_below * placed.n_negative),
            abs(placed.negatives_to * placed.n_positive - (placed.positives_below + placed.n_rows) * placed.n_negative)
        ) as separation
    from placed
),

weighed as {{ materialized() }} (
    select
        beaten.slice_number,
        {{ as_int('floor(8e0 * ln(beaten.n_from))') }} as bucket,
        {% if has_ties %}
        beaten.n_rows,
        beaten.negatives_equal,
        {% endif %}
        beaten.positives_below,
        beaten.negatives_below,
        beaten.separation,
        beaten.positives_from / beaten.n_from as precision_at_score,
        1e0 / greatest(beaten.n_from - 1e0, 1e0) as share_of_others
    from beaten
),

{# Without ties a positive stands for itself, and no negative is equal to it. #}
{% set n_rows = 'weighed.n_rows' if has_ties else '1e0' %}
{% set of_rows = 'weighed.n_rows * ' if has_ties else '' %}
{% set n_beaten = '(weighed.negatives_below + weighed.negatives_equal / 2e0)' if has_ties else 'weighed.negatives_below' %}
buckets as (
    select
        weighed.slice_number,
        weighed.bucket,
        {{ as_double('sum(weighed.n_rows)' if has_ties else 'count(*)') }} as n_rows,
        max(weighed.separation) as separation,
        -- The negatives that a positive beats, ties as half.
        sum({{ of_rows }}{{ n_beaten }}) as beaten,
        sum({{ of_rows }}{{ n_beaten }} * {{ n_beaten }}) as beaten_squares,
        -- Among the pairs of positives, those in which this score is the larger.
        sum(
            {{ of_rows }}(2e0 * weighed.positives_below + {{ n_rows }}) * {{ n_beaten }}
            {% if has_ties %}
            + weighed.n_rows * weighed.n_rows * weighed.negatives_equal / 4e0
            {% endif %}
        ) as pairs_beaten,
        sum({{ of_rows }}weighed.precision_at_score) as precision_sum,
        sum({{ of_rows }}weighed.precision_at_score * weighed.precision_at_score) as precision_squares,
        sum({{ of_rows }}weighed.share_of_others) as gain,
        sum({{ of_rows }}weighed.precision_at_score * weighed.share_of_others) as loss,
        -- Of the negatives among these positives, those at or above each.
        min(weighed.negatives_below) as lowest,
        max(weighed.negatives_below{{ ' + weighed.negatives_equal' if has_ties }}) as highest,
        sum({{ of_rows }}weighed.precision_at_score * weighed.share_of_others * weighed.negatives_below) as loss_below,
        -- Of these positives, those at or below each.
        min(weighed.positives_below) as first_below,
        sum({{ of_rows }}(weighed.positives_below + {{ n_rows }})) as at_or_below
    from weighed
    group by
        weighed.slice_number,
        weighed.bucket
),

-- A positive sees its own bucket in part, and so does a negative among them; a negative above them sees it whole.
shared as (
    select
        buckets.slice_number,
        buckets.bucket,
        buckets.n_rows,
        buckets.separation,
        buckets.beaten,
        buckets.beaten_squares,
        buckets.pairs_beaten,
        buckets.precision_sum,
        buckets.precision_squares,
        buckets.gain,
        buckets.loss,
        buckets.highest,
        buckets.highest - buckets.lowest as n_among,
        (buckets.at_or_below - buckets.first_below * buckets.n_rows) / (buckets.n_rows * buckets.n_rows) as own_share,
        {{ safe_divide('buckets.highest * buckets.loss - buckets.loss_below', 'buckets.highest - buckets.lowest') }} as loss_among,
        lag(buckets.lowest) over (partition by buckets.slice_number order by buckets.bucket) as next_lowest,
        sum(buckets.gain) over downwards as gain_downwards,
        sum(buckets.loss) over downwards as loss_downwards
    from buckets
    window downwards as (
        partition by buckets.slice_number
        order by buckets.bucket
        rows between current row and unbounded following
    )
),

summed as (
    select
        shared.slice_number,
        shared.n_rows,
        shared.separation,
        shared.beaten,
        shared.beaten_squares,
        shared.pairs_beaten,
        shared.precision_sum,
        shared.precision_squares,
        shared.gain_downwards - shared.loss_downwards - (1e0 - shared.own_share) * (shared.gain - shared.loss) as moved,
        shared.n_among * (shared.loss_downwards - shared.loss + coalesce(shared.loss_among, 0e0))
        * (shared.loss_downwards - shared.loss + coalesce(shared.loss_among, 0e0)) as among_squares,
        (coalesce(shared.next_lowest, slices.n_negative) - shared.highest)
        * shared.loss_downwards * shared.loss_downwards as above_squares
    from shared
    inner join slices
        on shared.slice_number = slices.slice_number
),

areas as (
    select
        summed.slice_number,
        max(summed.separation) as separation,
        sum(summed.beaten) as beaten,
        sum(summed.beaten_squares) as beaten_squares,
        sum(summed.pairs_beaten) as pairs_beaten,
        sum(summed.precision_sum) as precision_sum,
        -- Squares of influence before the average precision is taken off that of each positive, and what is taken off.
        sum(
            summed.precision_squares + 2e0 * summed.moved * summed.precision_sum + summed.moved * summed.moved * summed.n_rows
            + summed.among_squares + summed.above_squares
        ) as influence_squares,
        sum(summed.precision_sum + summed.moved * summed.n_rows) as positive_influence
    from summed
    group by summed.slice_number
)

select
    slices.unit,
    slices.slice_set,
    slices.slice_value,
    areas.beaten / nullif(slices.n_positive * slices.n_negative, 0e0) as roc_auc,
    -- The spread of the positives' placements, and of the negatives'.
    (areas.beaten_squares - areas.beaten * areas.beaten / nullif(slices.n_positive, 0e0))
    / nullif(slices.n_negative * slices.n_negative * slices.n_positive * (slices.n_positive - 1e0), 0e0)
    + (
        slices.n_negative * slices.n_positive * slices.n_positive - areas.pairs_beaten
        - (slices.n_negative * slices.n_positive - areas.beaten) * (slices.n_negative * slices.n_positive - areas.beaten)
        / nullif(slices.n_negative, 0e0)
    ) / nullif(slices.n_positive * slices.n_positive * slices.n_negative * (slices.n_negative - 1e0), 0e0) as roc_auc_variance,
    areas.precision_sum / nullif(slices.n_positive, 0e0) as average_precision,
    (
        areas.influence_squares - 2e0 * areas.precision_sum / nullif(slices.n_positive, 0e0) * areas.positive_influence
        + areas.precision_sum * areas.precision_sum / nullif(slices.n_positive, 0e0)
    ) / nullif(slices.n_positive * (slices.n_positive - 1e0), 0e0) as average_precision_variance,
    slices.n_positive,
    areas.separation / nullif(slices.n_positive * slices.n_negative, 0e0) as kolmogorov_smirnov
from slices
left join areas
    on slices.slice_number = areas.slice_number
