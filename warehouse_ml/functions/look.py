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

__all__ = ["advanced_weights", "feature_importance", "feature_info", "training_info", "weights"]

INTERCEPT = "__INTERCEPT__"
# The last one is written beside the rows where a warehouse has to load the file.
_OWN_COLUMNS = ("wml_split", "wml_row_hash", "wml_file_row")


def weights(call: Call, context: Context) -> str:
    """Return the query of a linear model's weights: of the columns as they are, or of the standardised ones."""
    import pyarrow as pa

    stored = context.stored(call)
    is_standardized = settings(call, standardize=Setting("boolean", default=False))["standardize"]
    parameters = stored.parameters
    linear = _linear_of(call, parameters)
    category = pa.struct([("category", pa.string()), ("weight", pa.float64())])
    fields = [("processed_input", pa.string()), ("weight", pa.float64()), ("category_weights", pa.list_(category))]
    rows = _weight_rows(parameters, linear, is_standardized)
    if parameters.task == "multiclass":
        fields.append(("class_label", pa.string()))
    return context.keep(call, pa.Table.from_pylist(rows, schema=pa.schema(fields)))


def advanced_weights(call: Call, context: Context) -> str:
    """Return the query of a linear model's weights with their standard errors and p-values, a row a category."""
    import pyarrow as pa

    stored = context.stored(call)
    is_standardized = settings(call, standardize=Setting("boolean", default=False))["standardize"]
    parameters = stored.parameters
    linear = _linear_of(call, parameters)
    if not parameters.p_values:
        raise DefinitionError(
            f"{call.model} was trained without p-values",
            place=call.place,
            hint="train it with calculate_p_values = true, or ask ml.weights",
        )
    found = _weight_rows(parameters, linear, is_standardized)
    # The p-values are listed with the intercept first.
    rows: list[dict[str, Any]] = []
    for row in (found[-1], *found[:-1]):
        pairs = row["category_weights"]
        rows += [{**row, **pair} for pair in pairs] if pairs is not None else [{**row, "category": None}]
    prefix = "" if is_standardized else "original_"
    for row, sure in zip(rows, parameters.p_values, strict=True):
        row["standard_error"] = getattr(sure, f"{prefix}standard_error")
        row["p_value"] = getattr(sure, f"{prefix}p_value")
    text, number = pa.string(), pa.float64()
    types = {
        "processed_input": text,
        "category": text,
        "weight": number,
        "standard_error": number,
        "p_value": number,
    }
    return context.keep(call, pa.Table.from_pylist([*rows[1:], rows[0]], schema=pa.schema(list(types.items()))))


def feature_importance(call: Call, context: Context) -> str:
    """Return the query of how often, and how well, the trees split on each feature; the most gainful first."""
    import numpy as np
    import pyarrow as pa

    stored = context.stored(call)
    settings(call)
    parameters = stored.parameters
    trees = parameters.trees
    if trees is None:
        raise _other_kind(call, parameters, "the splits of boosted trees and random forests")
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
    path = context.warehouse.parquet(context.registry.snapshot_path(stored.version))
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
    """Return the snapshot's columns that are no features: label, weight, split, start, and the toolkit's own."""
    options = stored.facts["options"]
    others = (options.get("INSTANCE_WEIGHT_COL"), options.get("KMEANS_INIT_COL"), stored.facts["split"]["column"])
    return [stored.parameters.label, *(str(name) for name in others if name), *_OWN_COLUMNS]


def _linear_of(call: Call, parameters: Parameters) -> Linear:
    if parameters.linear is None or parameters.task == "projection":
        raise _other_kind(call, parameters, "the weights of a linear or logistic regression")
    return parameters.linear


def _other_kind(call: Call, parameters: Parameters, what: str) -> DefinitionError:
    instead = "ml.weights and ml.global_explain"
    if parameters.task == "clustering":
        instead = "ml.centroids"
    elif parameters.task == "projection":
        instead = "ml.principal_components and ml.principal_component_info"
    elif parameters.kept is not None:
        instead = "ml.predict and ml.evaluate"
    elif parameters.trees is not None:
        instead = "ml.feature_importance and ml.global_explain"
    return DefinitionError(
        f"ml.{call.name} shows {what}, and {call.model} is a {parameters.model_type.lower()}",
        place=call.place,
        hint=f"for this one there is {instead}",
    )
