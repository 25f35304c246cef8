-- grain: one row per answer
-- unit:  as the version's own query
-- null:  prediction of a regression and of principal components
select
    scored.request_id,
    scored.score,
    scored.prediction
from {{ scores | ident }} as scored
