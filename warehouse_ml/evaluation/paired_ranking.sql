-- grain: one row per pair and slice with both classes; binary task with scores, without weights
-- unit:  roc_auc and other_roc_auc in [0, 1]; roc_auc_variance is that of their difference
-- null:  roc_auc_variance where a class has one row alone
-- DeLong, DeLong and Clarke-Pearson (1988): a row's placement is the share of the other class that its score beats, ties
-- half; the variance of the difference is that of the paired differences of placements, a class at a time.
{{ create_scratch('wml_paired_ranking') }}
with slices as (
    select
        cells.pair,
        cells.slice_set,
        cells.slice_value,
        {{ as_double('sum(case when cells.outcome >= 100 then cells.n_rows else 0 end)') }} as n_positive,
        {{ as_double('sum(case when cells.outcome < 100 then cells.n_rows else 0 end)') }} as n_negative,
        row_number() over (order by cells.pair, cells.slice_set, cells.slice_value) as slice_id
    from wml_paired_cells as cells
    group by
        cells.pair,
        cells.slice_set,
        cells.slice_value
    having min(cells.outcome) < 100
        and max(cells.outcome) >= 100
        -- What is too small to show is not worth a sort.
        and (
            cells.slice_set = 0
            or least(
                sum(case when cells.outcome >= 100 then cells.n_rows else 0 end),
                sum(case when cells.outcome < 100 then cells.n_rows else 0 end)
            ) >= {{ param('min_slice_size') }}
        )
),

sliced as (
    {% for slice in slices %}
    select
        slices.slice_id,
        {{ as_int('paired.label') }} as label,
        paired.score,
        paired.other_score
    from wml_paired as paired
    inner join slices
        on paired.pair = slices.pair
        and slices.slice_set = {{ loop.index0 }}
        and slices.slice_value = {{ slice_text(slice.names) }}
    {% if not loop.last %}
    union all
    {% endif %}
    {% endfor %}
),

ranked as (
    select
        sliced.slice_id,
        sliced.label,
        {% for side in ['', 'other_'] %}
        rank() over {{ side }}scores as {{ side }}first_rank,
        cume_dist() over {{ side }}scores as {{ side }}last_share,
        rank() over {{ side }}class_scores as {{ side }}first_class_rank,
        cume_dist() over {{ side }}class_scores as {{ side }}last_class_share{% if not loop.last %},{% endif %}

        {% endfor %}
    from sliced
    window
        {% for side in ['', 'other_'] %}
        {{ side }}scores as (partition by sliced.slice_id order by sliced.{{ side }}score),
        {{ side }}class_scores as (
            partition by sliced.slice_id, sliced.label
            order by sliced.{{ side }}score
        ){% if not loop.last %},{% endif %}

        {% endfor %}
),

placed as (
    select
        ranked.slice_id,
        ranked.label,
        {% for side in ['', 'other_'] %}
        -- Ranks among all rows less ranks among the own class: the other class alone.
        (
            ranked.{{ side }}first_rank + round(ranked.{{ side }}last_share * (slices.n_positive + slices.n_negative))
            - ranked.{{ side }}first_class_rank
            - round(ranked.{{ side }}last_class_share * case when ranked.label = 1 then slices.n_positive else slices.n_negative end)
        ) / (2e0 * case when ranked.label = 1 then slices.n_negative else slices.n_positive end) as {{ side }}placement{% if not loop.last %},{% endif %}

        {% endfor %}
    from ranked
    inner join slices
        on ranked.slice_id = slices.slice_id
),

areas as (
    select
        placed.slice_id,
        avg(case when placed.label = 1 then placed.placement end) as roc_auc,
        avg(case when placed.label = 1 then placed.other_placement end) as other_roc_auc,
        var_samp(case when placed.label = 1 then placed.placement - placed.other_placement end)
            / count(case when placed.label = 1 then placed.placement end)
            + var_samp(case when placed.label = 0 then placed.placement - placed.other_placement end)
            / count(case when placed.label = 0 then placed.placement end) as roc_auc_variance
    from placed
    group by placed.slice_id
)

select
    slices.pair,
    slices.slice_set,
    slices.slice_value,
    areas.roc_auc,
    areas.other_roc_auc,
    areas.roc_auc_variance
from areas
inner join slices
    on areas.slice_id = slices.slice_id
