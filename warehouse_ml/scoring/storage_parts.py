"""The tables that only some models have: expected terms, p-values, components, clusters, a SKLEARN's estimator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from warehouse_ml.errors import ArtifactError
from warehouse_ml.options import ESTIMATORS
from warehouse_ml.scoring.kept import Kept, checked
from warehouse_ml.scoring.parameters import DISTANCES, LINKS, Clusters, Components, Estimator, Parameters, PValue

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "check_task",
    "family_of",
    "fields",
    "is_finite",
    "part_rows",
    "read_clusters",
    "read_components",
    "read_estimator",
    "read_expected",
    "read_kept",
    "read_p_values",
    "require",
    "weight_places",
]

_Rows = list[dict[str, Any]]

# What a clustering adds up must never be NULL.
_NEVER_NULL = ("standard", "imputed", "one_hot")
_MEASURES = ("standard_error", "p_value", "original_standard_error", "original_p_value")


def fields() -> dict[str, list[tuple[str, pa.DataType]]]:
    """Return the columns of each table."""
    import pyarrow as pa

    text, integer, real, flag = pa.string(), pa.int32(), pa.float64(), pa.bool_()
    place = [("feature", integer), ("slot", integer)]
    return {
        "expected": [("output", integer), ("feature", integer), ("expected", real)],
        "p_values": [("output", integer), *place, *((name, real) for name in _MEASURES)],
        "components": [
            ("component", integer),
            ("eigenvalue", real),
            ("explained_variance_ratio", real),
            ("cumulative_explained_variance_ratio", real),
        ],
        "clusters": [("cluster", integer), ("distance", text), ("n_rows", pa.int64())],
        "centroids": [("cluster", integer), *place, ("value", real)],
        "estimator": [("name", text), ("is_averaged", flag), ("link", text)],
    }


def part_rows(parameters: Parameters) -> dict[str, _Rows]:
    """Return the rows of the tables that the model has."""
    rows: dict[str, _Rows] = {}
    if parameters.linear is not None:
        rows["expected"] = [
            {"output": output, "feature": feature, "expected": expected}
            for output, by_feature in enumerate(parameters.linear.expected)
            for feature, expected in enumerate(by_feature)
        ]
    if parameters.p_values:
        places = weight_places(parameters)
        rows["p_values"] = [
            {"output": output, "feature": feature, "slot": slot, **vars(found)}
            for (output, feature, slot), found in zip(places, parameters.p_values, strict=True)
        ]
    if parameters.components is not None:
        found = parameters.components
        columns = zip(found.eigenvalues, found.explained_variance_ratios, found.cumulative_ratios, strict=True)
        rows["components"] = [
            {
                "component": component,
                "eigenvalue": eigenvalue,
                "explained_variance_ratio": ratio,
                "cumulative_explained_variance_ratio": cumulative,
            }
            for component, (eigenvalue, ratio, cumulative) in enumerate(columns, start=1)
        ]
    if parameters.clusters is not None:
        clusters = parameters.clusters
        rows["clusters"] = [
            {"cluster": cluster, "distance": clusters.distance, "n_rows": n_rows}
            for cluster, n_rows in enumerate(clusters.n_rows, start=1)
        ]
        rows["centroids"] = [
            {"cluster": cluster, "feature": feature, "slot": slot, "value": value}
            for cluster, centroid in enumerate(clusters.centroids, start=1)
            for feature, slots in enumerate(centroid)
            for slot, value in enumerate(slots)
        ]
    if parameters.estimator is not None:
        rows["estimator"] = [vars(parameters.estimator)]
    return rows


def weight_places(shape: Parameters) -> list[tuple[int, int, int]]:
    """Return (output, feature, slot) of each weight of a linear model, in order; feature -1 is the intercept."""
    return [
        (output, feature, slot)
        for output in range(shape.n_outputs)
        for feature in range(-1, len(shape.features))
        for slot in range(1 if feature < 0 else shape.features[feature].n_slots)
    ]


def check_task(model_type: str, task: str, classes: tuple[str, ...]) -> None:
    """Check that a model type does what it can do, and that the ids of clusters are 1, 2, 3 ..."""
    only = {"KMEANS": "clustering", "PCA": "projection"}.get(model_type)
    fits = task == only if only else task not in ("clustering", "projection")
    require(fits, "model", f"says that a {model_type.lower()} does {task}")
    if task == "clustering":
        ids = tuple(str(cluster) for cluster in range(1, len(classes) + 1))
        require(classes == ids, "model", "does not number the clusters from 1")


def read_estimator(rows: _Rows, task: str) -> Estimator:
    """Return the estimator of a SKLEARN."""
    require(len(rows) == 1, "estimator", f"has {len(rows)} rows instead of one")
    found = Estimator(**rows[0])
    spec = ESTIMATORS.get(found.name)
    require(spec is not None, "estimator", f'names an unknown estimator "{found.name}"')
    require(found.link in LINKS, "estimator", f'names an unknown link "{found.link}"')
    require(found.link == "identity" or task == "regression", "estimator", f"has a link that does not fit a {task}")
    return found


def family_of(estimator: Estimator) -> str:
    """Return what holds the parameters of a SKLEARN: the tables of ``linear`` models or of ``trees``, or ``kept``."""
    form = ESTIMATORS[estimator.name].form
    return form if form in ("linear", "kept") else "trees"


def read_kept(content: bytes, shape: Parameters) -> Kept:
    """Return an estimator that is kept as it is; what its file holds is checked, and not restored yet."""
    require(shape.estimator is not None and shape.task in ("binary", "multiclass", "regression"), "model", "is torn")
    name = shape.estimator.name if shape.estimator else ""
    has_classes = ESTIMATORS[name].is_classifier
    require(has_classes == bool(shape.classes), "estimator", "does not fit the task")
    n_columns = sum(feature.n_slots - (1 if feature.reference else 0) for feature in shape.features)
    return Kept(name, checked(content, name), n_columns, len(shape.classes))


def read_components(rows: _Rows) -> Components:
    """Return what the components explain."""
    require([row["component"] for row in rows] == list(range(1, len(rows) + 1)), "components", "is out of order")
    require(bool(rows), "components", "is empty")
    for row in rows:
        require(is_finite(row["eigenvalue"]) and row["eigenvalue"] >= 0, "components", "has an impossible eigenvalue")
        is_share = 0 <= row["explained_variance_ratio"] <= 1 + 1e-9
        require(is_share, "components", "explains less than nothing, or more than everything")
    return Components(tuple(row["eigenvalue"] for row in rows), tuple(row["explained_variance_ratio"] for row in rows))


def read_clusters(rows: _Rows, values: _Rows, shape: Parameters) -> Clusters:
    """Return the centroids."""
    ids = list(range(1, shape.n_outputs + 1))
    require([row["cluster"] for row in rows] == ids, "clusters", "does not list the clusters in order")
    distance = rows[0]["distance"]
    require(distance in DISTANCES, "clusters", f'names an unknown distance "{distance}"')
    require(all(row["distance"] == distance for row in rows), "clusters", "has several distances")
    require(all(row["n_rows"] >= 0 for row in rows), "clusters", "counts fewer than no rows")
    may_be_null = [feature.name for feature in shape.features if feature.encoding not in _NEVER_NULL]
    require(not may_be_null, "features", f"leaves {', '.join(may_be_null)} without a value where it is null")
    places = [
        (cluster, feature, slot)
        for cluster in ids
        for feature in range(len(shape.features))
        for slot in range(shape.features[feature].n_slots)
    ]
    found = [(row["cluster"], row["feature"], row["slot"]) for row in values]
    require(found == places, "centroids", "does not have one value for each cluster, feature and slot")
    require(all(is_finite(row["value"]) for row in values), "centroids", "has a value that is not finite")
    each = iter(row["value"] for row in values)
    centroids = tuple(tuple(tuple(next(each) for _ in range(f.n_slots)) for f in shape.features) for _ in ids)
    if distance == "cosine":
        lengths = [sum(value * value for slots in centroid for value in slots) for centroid in centroids]
        require(all(abs(length - 1) < 1e-6 for length in lengths), "centroids", "has one whose length is not 1")
    return Clusters(distance, centroids, tuple(row["n_rows"] for row in rows))


def read_expected(rows: _Rows, shape: Parameters) -> tuple[tuple[float, ...], ...]:
    """Return the mean of what each feature adds to each output."""
    n_features = len(shape.features)
    places = [(output, feature) for output in range(shape.n_outputs) for feature in range(n_features)]
    require([(row["output"], row["feature"]) for row in rows] == places, "expected", "is out of order")
    values = [row["expected"] for row in rows]
    require(all(is_finite(value) for value in values), "expected", "has a number that is not finite")
    return tuple(tuple(values[start : start + n_features]) for start in range(0, len(values), n_features))


def read_p_values(rows: _Rows, shape: Parameters) -> tuple[PValue, ...]:
    """Return how sure each weight is."""
    found = [(row["output"], row["feature"], row["slot"]) for row in rows]
    require(found == weight_places(shape), "p_values", "does not have one row for each weight")
    for row in rows:
        known = [row[name] for name in _MEASURES if row[name] is not None]
        require(len(known) in (0, len(_MEASURES)), "p_values", "knows a weight in part")
        require(all(is_finite(value) and value >= 0 for value in known), "p_values", "has an impossible number")
        is_probability = all((row[name] or 0.0) <= 1 for name in ("p_value", "original_p_value"))
        require(is_probability, "p_values", "has a p-value above 1")
    return tuple(PValue(**{name: row[name] for name in _MEASURES}) for row in rows)


def is_finite(value: float) -> bool:
    """Return whether a number is neither infinite nor NaN."""
    return value - value == 0


def require(holds: bool, table: str, what: str) -> None:
    """Refuse parameters that do not describe a model.

    Raises
    ------
    ArtifactError
        Naming the table.
    """
    if not holds:
        raise ArtifactError(f'the table "{table}" of the parameters {what}', hint="train the model again")
