-- grain: one row
-- unit:  log_loss in nats; roc_auc in [0, 1], the mean over the classes
-- null:  both where no label is known; roc_auc where no class has rows with it and rows without
-- The area is the share of pairs of a row with the class and a row without it that the class's probability puts in the
-- right order, ties as half. A label that is no class of the model has the probability 0, which counts as 1e-15.
with labelled as (
    select
        scored.label,
        scored.probabilities
    from {{ relation | ident }} as scored
    where scored.label is not null
),

by_class as (
    {% for name in classes %}
    select
        {{ loop.index }} as class,
        {{ element('labelled.probabilities', loop.index) }} as probability,
        case when labelled.label = {{ name | literal }} then 1 else 0 end as is_class
    from labelled
    {% if not loop.last %}
    union all
    {% endif %}
    {% endfor %}
),

grouped as (
    select
        by_class.class,
        by_class.probability,
        {{ as_double('sum(by_class.is_class)') }} as n_with,
        {{ as_double('sum(1 - by_class.is_class)') }} as n_without
    from by_class
    group by
        by_class.class,
        by_class.probability
),

ranked as (
    select
        grouped.class,
        grouped.n_with,
        grouped.n_without,
        sum(grouped.n_without) over (
            partition by grouped.class
            order by grouped.probability
            rows between unbounded preceding and current row
        ) as n_up_to
    from grouped
),

areas as (
    select
        ranked.class,
        {{ safe_divide(
            'sum(ranked.n_with * (ranked.n_up_to - ranked.n_without / 2e0))', 'sum(ranked.n_with) * sum(ranked.n_without)'
        ) }} as area
    from ranked
    group by ranked.class
),

losses as (
    select
        {{ count_where('by_class.is_class = 1') }} as n_known,
        coalesce(sum(
            case
                when by_class.is_class = 0 then 0e0
                when by_class.probability < 1e-15 then -ln(1e-15)
                else -ln(by_class.probability)
            end
        ), 0e0) as loss
    from by_class
),

counts as (
    select count(*) as n_rows
    from labelled
)

select
    (losses.loss - (counts.n_rows - losses.n_known) * ln(1e-15)) / nullif(counts.n_rows, 0) as log_loss,
    means.roc_auc
from losses
cross join counts
cross join (
    select avg(areas.area) as roc_auc
    from areas
) as means
