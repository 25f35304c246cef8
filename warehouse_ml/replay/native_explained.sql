-- grain: one row, of the one request that is asked about
-- unit:  explained and baseline are the label's unit or, of a classifier, log odds; attributions add up to their difference
-- null:  as BigQuery ML has it
select
    explained.prediction_value as wml_explained,
    explained.baseline_prediction_value as wml_baseline,
    array(
        select attributed.feature from unnest(explained.top_feature_attributions) as attributed
        order by abs(attributed.attribution) desc, attributed.feature
    ) as wml_features,
    array(
        select attributed.attribution from unnest(explained.top_feature_attributions) as attributed
        order by abs(attributed.attribution) desc, attributed.feature
    ) as wml_attributions{% for column in columns %},
    explained.{{ column | ident }}{% endfor %}

from ml.explain_predict(model {{ native | map('ident') | join('.') }}, (
{{ asked }}
), struct({{ most }} as top_k_features)) as explained
