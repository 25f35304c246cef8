"""What a version has learned, and from what: weights, importances, the training rows and the training itself."""

from __future__ import annotations

from typing import Any

from warehouse_ml.errors import DefinitionError
from warehouse_ml.functions.call import Call, Context
from warehouse_ml.functions.settings import Setting, settings
from warehouse_ml.registry import StoredVersion
from warehouse_ml.scoring.features import kind_of
from warehouse_ml.scoring.parameters import Linear, Parameters
from warehouse_ml.templates import statement

__all__ = ["feature_importance", "feature_info", "training_info", "weights"]

INTERCEPT = "__INTERCEPT__"
_OWN_COLUMNS = ("wml_split", "wml_row_hash")


def weights(call: Call, context: Context) -> str:
    """Return the query of a linear model's weights: of the columns as they are, or of the standardised ones."""
    import pyarrow as pa

    stored = context.stored(call)
    is_standardized = settings(call, standardize=Setting("bool", default=False))["standardize"]
    parameters = stored.parameters
    if parameters.linear is None:
        instead = "ml.feature_importance and ml.global_explain" if parameters.trees is not None else None
        raise _other_kind(call, parameters, "the weights of a linear or logistic regression", instead)
    category = pa.struct([("category", pa.string()), ("weight", pa.float64())])
    fields = [("processed_input", pa.string()), ("weight", pa.float64()), ("category_weights", pa.list_(category))]
    rows = _weight_rows(parameters, parameters.linear, is_standardized)
    if parameters.task == "multiclass":
        fields.append(("class_label", pa.string()))
    return context.keep(call, pa.Table.from_pylist(rows, schema=pa.schema(fields)))


def feature_importance(call: Call, context: Context) -> str:
    """Return the query of how often, and how well, the trees split on each feature; the most gainful first."""
    import numpy as np
    import pyarrow as pa

    stored = context.stored(call)
    settings(call)
    parameters = stored.parameters
    trees = parameters.trees
    if trees is None:
        instead = "ml.weights and ml.global_explain" if parameters.linear is not None else None
        raise _other_kind(call, parameters, "the splits of boosted trees and random forests", instead)
    n_features = len(parameters.features)
    is_split = trees.feature >= 0
    feature = trees.feature[is_split]
    counts = np.bincount(feature, minlength=n_features)
    # A feature that nothing splits on has no average; it counts as 0, as XGBoost's own importances do.
    n_splits = np.maximum(counts, 1)
    gain = np.bincount(feature, trees.gain[is_split], n_features) / n_splits
    cover = np.bincount(feature, trees.cover[is_split], n_features) / n_splits
    order = np.argsort(-gain, kind="stable")
    columns = {
        "feature": pa.array([parameters.features[index].name for index in order], pa.string()),
        "importance_weight": pa.array(counts[order].astype(np.float64)),
        "importance_gain": pa.array(gain[order]),
        "importance_cover": pa.array(cover[order]),
    }
    return context.keep(call, pa.table(columns))


def feature_info(call: Call, context: Context) -> str:
    """Return the query that describes the columns that a version was trained on, over its training rows."""
    stored = context.stored(call)
    settings(call)
    engine = context.warehouse.engine
    path = context.registry.snapshot_path(stored.version).as_posix()
    rows = statement(__package__, "trained_rows.sql", engine, path=path, split="train", most=None)
    excluded = {name.casefold() for name in _no_features(stored)}
    columns = [
        {"name": name, "kind": kind_of(type_name)}
        for name, type_name in context.warehouse.columns(rows).items()
        if name.casefold() not in excluded
    ]
    return statement(__package__, "feature_info.sql", engine, rows=rows, columns=columns)


def training_info(call: Call, context: Context) -> str:
    """Return the query of the iterations of a version's training."""
    import pyarrow as pa

    stored = context.stored(call)
    settings(call)
    types = {
        "training_run": pa.int64(),
        "iteration": pa.int64(),
        "loss": pa.float64(),
        "eval_loss": pa.float64(),
        "learning_rate": pa.float64(),
        "duration_ms": pa.int64(),
    }
    rows = [
        # BigQuery ML counts from 0.
        {**step, "training_run": 0, "iteration": step["iteration"] - 1, "duration_ms": None}
        for step in stored.facts["training_info"]
    ]
    return context.keep(call, pa.Table.from_pylist(rows, schema=pa.schema(list(types.items()))))


def _weight_rows(parameters: Parameters, linear: Linear, is_standardized: bool) -> list[dict[str, Any]]:
    rows = []
    for output, (intercept, by_feature) in enumerate(zip(linear.intercepts, linear.weights, strict=True)):
        label = {"class_label": parameters.classes[output]} if parameters.task == "multiclass" else {}
        for feature, slots in zip(parameters.features, by_feature, strict=True):
            row: dict[str, Any] = {**label, "processed_input": feature.name, "weight": None, "category_weights": None}
            if feature.encoding == "one_hot":
                names = [*feature.categories, *([None] if feature.has_null else [])]
                row["category_weights"] = [
                    {"category": name, "weight": weight} for name, weight in zip(names, slots, strict=True)
                ]
            elif is_standardized or feature.encoding != "standard":
                row["weight"] = slots[0]
            else:
                # w (x - mean) / stddev, and a column that never varied adds nothing.
                row["weight"] = slots[0] / feature.stddev if feature.stddev else 0.0
                intercept -= row["weight"] * feature.mean  # noqa: PLW2901
            rows.append(row)
        rows.append({**label, "processed_input": INTERCEPT, "weight": intercept, "category_weights": None})
    return rows


def _no_features(stored: StoredVersion) -> list[str]:
    """Return the snapshot's columns that are no features: label, weight, split, and the toolkit's own."""
    options = stored.facts["options"]
    labels = options.get("INPUT_LABEL_COLS") or []
    others = (options.get("INSTANCE_WEIGHT_COL"), stored.facts["split"]["column"])
    return [*labels, *(str(name) for name in others if name), *_OWN_COLUMNS]


def _other_kind(call: Call, parameters: Parameters, what: str, instead: str | None) -> DefinitionError:
    return DefinitionError(
        f"ml.{call.name} shows {what}, and {call.model} is a {parameters.model_type.lower()}",
        place=call.place,
        hint=f"for this one there are {instead}" if instead else None,
    )
