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

sliced as (
    {% for index in some %}
    select members.slice_key + ranked.place_and_label as sort_key
    from wml_ranked_rows as ranked
    inner join (
        select
            members.combination,
            {{ (as_natural if is_narrow else as_int)('(members.slice_id - ' ~ first_slice ~ ') * ' ~ slice_width) }} as slice_key
        from wml_slice_members as members
        where members.slice_set = {{ index }}
    ) as members
        on ranked.combination = members.combination
    {% if not loop.last %}
    union all
    {% endif %}
    {% endfor %}
),

keyed as (
    select sliced.sort_key
    from sliced
    {{ sorted_first('sliced.sort_key') }}
),

-- Positions count from 0 the rows before, of either label and of label 1, slice after slice and by score within each.
numbered as (
    select
        keyed.sort_key,
        {% if has_ties %}
        lag(keyed.sort_key) {{ over_sorted('keyed.sort_key') }} as key_before,
        {% endif %}
        row_number() {{ over_sorted('keyed.sort_key') }} - 1 as row_position
    from keyed
),

{% if has_ties %}
-- All positives, and the first negative of each slice and score: the rows between it and the first positive are tied.
kept as (
    select
        numbered.sort_key,
        numbered.row_position
    from numbered
    where
        numbered.sort_key & 1 = 1
        or numbered.key_before is null
        or numbered.key_before < numbered.sort_key
),

neighbours as (
    select
        kept.sort_key,
        kept.row_position,
        lag(kept.sort_key) {{ over_sorted('kept.row_position') }} as key_before,
        lag(kept.row_position) {{ over_sorted('kept.row_position') }} as position_before
    from kept
),

counted as (
    select
        neighbours.sort_key,
        neighbours.row_position,
        neighbours.key_before,
        neighbours.position_before,
        row_number() {{ over_sorted('neighbours.row_position') }} - 1 as positive_position
    from neighbours
    where neighbours.sort_key & 1 = 1
),

-- The first positive of each slice and score stands for those that are equal: n_tied negatives have its score too.
firsts as (
    select
        counted.sort_key,
        counted.row_position,
        counted.positive_position,
        case
            when counted.key_before = counted.sort_key - 1 then counted.row_position - counted.position_before
            else 0
        end as n_tied
    from counted
    where
        counted.key_before is null
        or counted.key_before < counted.sort_key
),

positives as (
    select
        firsts.sort_key,
        firsts.row_position,
        firsts.positive_position,
        firsts.n_tied,
        lead(firsts.positive_position) {{ over_sorted('firsts.row_position') }} - firsts.positive_position as n_rows
    from firsts
),

{% else %}
positives as (
    select
        numbered.sort_key,
        numbered.row_position,
        row_number() {{ over_sorted('numbered.row_position') }} - 1 as positive_position
    from numbered
    where numbered.sort_key & 1 = 1
),

{% endif %}
placed as {{ materialized() }} (
    select
        {{ as_natural('slices.slice_number') }} as slice_number,
        slices.n_positive,
        slices.n_negative,
        {% if has_ties %}
        {{ as_double('positives.n_tied') }} as negatives_equal,
        -- The last one of all has none after it.
        {{ as_double('coalesce(positives.n_rows, slices.n_positive + slices.positives_before - positives.positive_position)') }} as n_rows,
        {% endif %}
        {{ as_double('positives.positive_position') }} - slices.positives_before as positives_below,
        {{ as_double('positives.row_position - positives.positive_position' ~ (' - positives.n_tied' if has_ties else '')) }}
        - slices.rows_before + slices.positives_before as negatives_below
    from positives
    inner join slices
        on positives.sort_key >> {{ n_bits }} = slices.slice_number
),

-- n_from counts the rows at or above the score. The shares at and above a threshold are furthest apart at a positive's
-- score, or just above one; the gap is multiplied by the product of the classes' rows, so that there is no division, and
-- no rounding.
weighed as (
    select
        placed.slice_number,
        {% if has_ties %}
        placed.n_rows,
        placed.negatives_equal,
        greatest(
            abs(placed.negatives_below * placed.n_positive - placed.positives_below * placed.n_negative),
            abs((placed.negatives_below + placed.negatives_equal) * placed.n_positive - (placed.positives_below + placed.n_rows) * placed.n_negative)
        ) as separation,
        {% else %}
        placed.negatives_below * placed.n_positive - placed.positives_below * placed.n_negative as gap,
        {% endif %}
        placed.positives_below,
        placed.negatives_below,
        {% set n_from = '(placed.n_positive + placed.n_negative - placed.positives_below - placed.negatives_below)' %}
        {{ as_int('floor(8e0 * ln(' ~ n_from ~ '))') }} as bucket,
        (placed.n_positive - placed.positives_below) / {{ n_from }} as precision_at_score,
        1e0 / case when {{ n_from }} > 2e0 then {{ n_from }} - 1e0 else 1e0 end as share_of_others
    from placed
),

{# Without ties a positive stands for itself, and no negative is equal to it. #}
{% set of_rows = 'weighed.n_rows * ' if has_ties else '' %}
{% set n_beaten = '(weighed.negatives_below + weighed.negatives_equal / 2e0)' if has_ties else 'weighed.negatives_below' %}
buckets as (
    select
        weighed.slice_number,
        weighed.bucket,
        {{ as_double('sum(weighed.n_rows)' if has_ties else 'count(*)') }} as n_rows,
        {% if has_ties %}
        max(weighed.separation) as separation,
        {% else %}
        max(weighed.gap) as largest_gap,
        min(weighed.gap) as smallest_gap,
        {% endif %}
        -- The negatives that a positive beats, ties as half.
        sum({{ of_rows }}{{ n_beaten }}) as beaten,
        sum({{ of_rows }}{{ n_beaten }} * {{ n_beaten }}) as beaten_squares,
        -- Among the pairs of positives, those in which this score is the larger.
        sum(
            {{ of_rows }}(2e0 * weighed.positives_below + {{ 'weighed.n_rows' if has_ties else '1e0' }}) * {{ n_beaten }}
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
        {% if has_ties %}
        -- Of these positives, those at or below each.
        min(weighed.positives_below) as first_below,
        sum(weighed.n_rows * (weighed.positives_below + weighed.n_rows)) as at_or_below,
        {% endif %}
        sum({{ of_rows }}weighed.precision_at_score * weighed.share_of_others * weighed.negatives_below) as loss_below
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
        {% if has_ties %}
        buckets.separation,
        {% else %}
        buckets.largest_gap,
        buckets.smallest_gap,
        {% endif %}
        buckets.beaten,
        buckets.beaten_squares,
        buckets.pairs_beaten,
        buckets.precision_sum,
        buckets.precision_squares,
        buckets.gain,
        buckets.loss,
        buckets.highest,
        buckets.highest - buckets.lowest as n_among,
        {% if has_ties %}
        (buckets.at_or_below - buckets.first_below * buckets.n_rows) / (buckets.n_rows * buckets.n_rows) as own_share,
        {% else %}
        (buckets.n_rows + 1e0) / (2e0 * buckets.n_rows) as own_share,
        {% endif %}
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
        {{ 'shared.separation' if has_ties else 'greatest(shared.largest_gap, slices.n_negative - shared.smallest_gap)' }} as separation,
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
