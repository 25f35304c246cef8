"""The small project with a model of every kind, all of them asked the same requests."""

from __future__ import annotations

from pathlib import Path

from tests.tiny import write, write_tiny

_FROM = """\
from {{ ref('churn_requests') }} as requests
inner join {{ ref('churn_labels') }} as labels on requests.request_id = labels.request_id
"""
_CHURN = "select requests.amount, requests.visits, requests.region, requests.requested_at, labels.has_churned\n" + _FROM
_AMOUNT = "select requests.amount, requests.visits, requests.region, requests.requested_at\n" + _FROM
_ALL = "select requests.amount, requests.visits, requests.region\n" + _FROM


def _labelled(model_type: str, label: str, query: str, *options: str, transform: str = "") -> str:
    said = [f"model_type = '{model_type}'", f"input_label_cols = ['{label}']", "data_split_method = 'seq'"]
    said += ["data_split_col = 'requested_at'", *options]
    return f"create or replace model {{name}}\n{transform}options (\n    " + ",\n    ".join(said) + f"\n) as\n{query}"


_TRANSFORM = """\
transform (
    ml.standard_scaler(amount) over () as amount_scaled,
    ml.quantile_bucketize(visits, 4) over () as visits_band,
    ml.one_hot_encoder(region) over () as region,
    extract(hour from requested_at) as hour,
    has_churned,
    requested_at
)
"""

_UPPER = """\
transform (
    amount,
    upper(region) as region,
    has_churned,
    requested_at
)
"""

_FEW_TREES = ("max_iterations = 6", "max_tree_depth = 3")

KINDS = {
    "churn_transform": _labelled("logistic_reg", "has_churned", _CHURN, transform=_TRANSFORM),
    "churn_trees": _labelled("boosted_tree_classifier", "has_churned", _CHURN, *_FEW_TREES),
    "churn_wood": _labelled("boosted_tree_classifier", "has_churned", _CHURN, "scoring_path = 'arrow'", *_FEW_TREES),
    "churn_forest": _labelled(
        "random_forest_classifier", "has_churned", _CHURN, "num_parallel_tree = 5", "max_tree_depth = 4"
    ),
    "amount_linear": _labelled("linear_reg", "amount", _AMOUNT),
    "amount_trees": _labelled("boosted_tree_regressor", "amount", _AMOUNT, *_FEW_TREES),
    "amount_log": _labelled("sklearn", "amount", _AMOUNT, "estimator = 'sklearn.linear_model.PoissonRegressor'"),
    "churn_near": _labelled("sklearn", "has_churned", _CHURN, "estimator = 'sklearn.neighbors.KNeighborsClassifier'"),
    "region_linear": _labelled("logistic_reg", "region", _AMOUNT),
    "region_trees": _labelled("boosted_tree_classifier", "region", _AMOUNT, *_FEW_TREES),
    "groups": f"create or replace model {{name}}\noptions (model_type = 'kmeans', num_clusters = 3) as\n{_ALL}",
    "angles": (
        "create or replace model {name}\noptions (model_type = 'kmeans', num_clusters = 3, "
        f"distance_type = 'cosine') as\n{_ALL}"
    ),
    "axes": f"create or replace model {{name}}\noptions (model_type = 'pca', num_principal_components = 2) as\n{_ALL}",
}
"""Models by name; each is told the project's own model ``churn`` beside."""


_FURTHER = {"churn_upper": _labelled("logistic_reg", "has_churned", _CHURN, transform=_UPPER)}


def write_kinds(root: Path, names: tuple[str, ...] = tuple(KINDS)) -> Path:
    """Write the small project, and more models into it."""
    write_tiny(root)
    for name in names:
        config = "{{ config(requests='churn_requests', threshold=0.4) }}\n"
        write(root, f"models/{name}.sql", config + (KINDS | _FURTHER)[name].replace("{name}", name))
    return root
