-- grain: one row per request and version
-- unit:  score is the probability of the positive class, the predicted value, the distance to the nearest centroid or
--        the first principal component; timestamps are instants in UTC
-- null:  prediction is null for a regression and for principal components; a feature that the version does not use is
--        null; threshold where no threshold decides; definition_hash where the requests were not built
create table if not exists {{ log | ident }} (
    request_id {{ type('string') }},
    model {{ type('string') }},
    version {{ type('int') }},
    alias {{ type('string') }},
    requested_at {{ type('timestamp') }},
    logged_at {{ type('timestamp') }},
    score {{ type('double') }},
    prediction {{ type('string') }},
    sample_weight {{ type('double') }},
    threshold {{ type('double') }},
    definition_hash {{ type('string') }}
){{ table_layout('requested_at', layout.granularity, layout.cluster_by) }}
