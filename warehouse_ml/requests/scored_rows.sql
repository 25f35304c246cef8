-- grain: one row per pending request
-- unit:  score is a probability or, for a regression, the label's unit
-- null:  prediction of a regression; an input is null where the request had none
select
    pending.*,
    scored.score,
    scored.prediction
from {{ pending | ident }} as pending
inner join {{ scored | ident }} as scored on pending.request_id = scored.request_id
