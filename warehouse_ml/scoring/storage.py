"""Parameters as tables and back.

======================  ===========================================================================
table                   one row per
======================  ===========================================================================
``model``               the model (exactly one)
``features``            feature: name, kind, encoding and statistics; an expression in place of a column
``categories``          feature and code
``coefficients``        output, feature and slot; feature -1 is the intercept  (linear models, projections)
``expected``            output and feature: the mean of what it adds           (linear models, projections)
``p_values``            row of ``coefficients``: how sure it is                (linear models, if asked for)
``components``          component: what it explains                            (projections)
``clusters``            cluster, from 1                                        (clusterings)
``centroids``           cluster, feature and slot                              (clusterings)
``estimator``           the estimator and its link (exactly one)               (SKLEARN)
``outputs``             output: where its sum starts                           (trees)
``trees``               tree: the output that it adds to, -1 for all           (trees)
``nodes``               tree and node; a leaf has values and nothing else      (trees)
``transform``           output of TRANSFORM, as written and frozen             (with TRANSFORM)
``inputs``              column that the frozen expressions read                (with TRANSFORM)
``language``            the SQL of the expressions (exactly one)               (with TRANSFORM, not in DuckDB's)
======================  ===========================================================================
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from warehouse_ml.columns import lengths_of, numbers_of
from warehouse_ml.errors import ArtifactError
from warehouse_ml.scoring import storage_parts as parts
from warehouse_ml.scoring import stored_transform
from warehouse_ml.scoring.features import ENCODINGS, KINDS, FittedFeature
from warehouse_ml.scoring.parameters import TASKS, Linear, Parameters, Trees
from warehouse_ml.scoring.storage_parts import is_finite as _is_finite
from warehouse_ml.scoring.storage_parts import require as _require

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

__all__ = ["FORMAT_VERSION", "from_tables", "to_tables"]

FORMAT_VERSION = 2

_MODEL_TYPES = {
    "LOGISTIC_REG": "linear",
    "LINEAR_REG": "linear",
    "BOOSTED_TREE_CLASSIFIER": "trees",
    "BOOSTED_TREE_REGRESSOR": "trees",
    "RANDOM_FOREST_CLASSIFIER": "trees",
    "RANDOM_FOREST_REGRESSOR": "trees",
    "KMEANS": "clusters",
    "PCA": "linear",
    "SKLEARN": "estimator",
}
_N_CLASSES = {
    "regression": (0, 0),
    "projection": (0, 0),
    "clustering": (1, 2**31),
    "binary": (2, 2),
    "multiclass": (3, 2**31),
}


def _schemas() -> dict[str, pa.Schema]:
    import pyarrow as pa

    text, integer, real, flag = pa.string(), pa.int32(), pa.float64(), pa.bool_()
    fields: dict[str, list[tuple[str, pa.DataType]]] = {
        "model": [
            ("format_version", integer),
            ("model_type", text),
            ("task", text),
            ("label", text),
            ("label_type", text),
            ("classes", pa.list_(text)),
        ],
        "features": [
            ("feature", integer),
            ("name", text),
            ("kind", text),
            ("encoding", text),
            ("mean", real),
            ("stddev", real),
            ("has_null", flag),
            ("reference", integer),
            ("expression", text),
        ],
        "categories": [("feature", integer), ("code", integer), ("category", text)],
        "coefficients": [("output", integer), ("feature", integer), ("slot", integer), ("weight", real)],
        **parts.fields(),
        "outputs": [("output", integer), ("baseline", real)],
        "trees": [("tree", integer), ("output", integer)],
        "nodes": [
            ("tree", integer),
            ("node", integer),
            ("feature", integer),
            ("threshold", real),
            ("is_missing_left", flag),
            ("left", integer),
            ("right", integer),
            ("values", pa.list_(real)),
            ("cover", real),
            ("gain", real),
        ],
        **stored_transform.fields(),
    }
    return {name: pa.schema(columns) for name, columns in fields.items()}


def to_tables(parameters: Parameters) -> dict[str, pa.Table]:
    """Return the parameters as tables, by name."""
    rows: dict[str, list[dict[str, Any]]] = {
        "model": [
            {
                "format_version": FORMAT_VERSION,
                "model_type": parameters.model_type,
                "task": parameters.task,
                "label": parameters.label,
                "label_type": parameters.label_type,
                "classes": list(parameters.classes),
            }
        ],
        "features": [
            {
                "feature": index,
                "name": feature.name,
                "kind": feature.kind,
                "encoding": feature.encoding,
                "mean": feature.mean,
                "stddev": feature.stddev,
                "has_null": feature.has_null,
                "reference": feature.reference,
                "expression": feature.expression,
            }
            for index, feature in enumerate(parameters.features)
        ],
        "categories": [
            {"feature": index, "code": code, "category": category}
            for index, feature in enumerate(parameters.features)
            for code, category in enumerate(feature.categories, start=1)
        ],
    }
    if parameters.linear is not None:
        rows["coefficients"] = list(_coefficient_rows(parameters.linear))
    rows.update(parts.part_rows(parameters))
    if parameters.transform:
        rows.update(stored_transform.transform_rows(parameters))
    import pyarrow as pa

    schemas = _schemas()
    tables = {name: pa.Table.from_pylist(content, schema=schemas[name]) for name, content in rows.items()}
    if parameters.trees is not None:
        tables.update(_tree_tables(parameters.trees, schemas))
    return tables


def from_tables(tables: Mapping[str, pa.Table], kept: bytes | None = None) -> Parameters:
    """Return the parameters that the tables describe, after checking every reference among them.

    Raises
    ------
    ArtifactError
        If a table or column is missing, or the values do not describe a model.
    """
    model = _rows(tables, "model")
    _require(len(model) == 1, "model", f"has {len(model)} rows instead of one")
    head = model[0]
    found = head["format_version"]
    if found > FORMAT_VERSION:
        raise ArtifactError(
            f"the parameters have the format {found}, which is newer than this release reads ({FORMAT_VERSION})",
            hint="upgrade: pip install --upgrade warehouse-ml",
        )
    _require(found == FORMAT_VERSION, "model", f"has the format {found}, this release reads {FORMAT_VERSION}")
    family = _MODEL_TYPES.get(head["model_type"])
    _require(family is not None, "model", f'names an unknown model type "{head["model_type"]}"')
    _require(head["task"] in TASKS, "model", f'names an unknown task "{head["task"]}"')
    classes = tuple(head["classes"])
    n_classes = _N_CLASSES[head["task"]]
    parts.check_task(head["model_type"], head["task"], classes)
    _require(
        n_classes[0] <= len(classes) <= n_classes[1], "model", f"has {len(classes)} classes for a {head['task']} task"
    )
    dialect = stored_transform.read_language(_rows(tables, "language") if "language" in tables else None)
    features = _features(_rows(tables, "features", nullable=("expression",)), _rows(tables, "categories"), dialect)
    stored = (_rows(tables, "transform"), _rows(tables, "inputs")) if "transform" in tables else ([], [])
    moved = _rows(tables, "elsewhere", nullable=stored_transform.MAY_BE_NULL) if "elsewhere" in tables else None
    transform, features, input_columns = stored_transform.read_transform(*stored, features, dialect, moved)
    shape = Parameters(
        model_type=head["model_type"],
        task=head["task"],
        label=head["label"],
        label_type=head["label_type"],
        classes=classes,
        features=features,
        estimator=parts.read_estimator(_rows(tables, "estimator"), head["task"]) if family == "estimator" else None,
        components=parts.read_components(_rows(tables, "components")) if head["task"] == "projection" else None,
        transform=transform,
        input_columns=input_columns,
    )
    if shape.estimator is not None:
        family = parts.family_of(shape.estimator)
    _require((kept is not None) == (family == "kept"), "estimator", "does not go with the file of the estimator")
    linear = _linear(tables, shape) if family == "linear" else None
    trees = _trees(tables, shape) if family == "trees" else None
    clusters = None
    if family == "clusters":
        clusters = parts.read_clusters(_rows(tables, "clusters"), _rows(tables, "centroids"), shape)
    p_values = parts.read_p_values(_table(tables, "p_values").to_pylist(), shape) if "p_values" in tables else ()
    learned = {"linear": linear, "trees": trees, "clusters": clusters, "p_values": p_values}
    return Parameters(**{**vars(shape), **learned, "kept": parts.read_kept(kept, shape) if kept is not None else None})


def _coefficient_rows(linear: Linear) -> list[dict[str, Any]]:
    rows = []
    for output, (intercept, weights) in enumerate(zip(linear.intercepts, linear.weights, strict=True)):
        rows.append({"output": output, "feature": -1, "slot": 0, "weight": intercept})
        rows.extend(
            {"output": output, "feature": feature, "slot": slot, "weight": weight}
            for feature, slots in enumerate(weights)
            for slot, weight in enumerate(slots)
        )
    return rows


def _tree_tables(trees: Trees, schemas: Mapping[str, pa.Schema]) -> dict[str, pa.Table]:
    import numpy as np
    import pyarrow as pa

    is_leaf = trees.feature < 0
    n_values = trees.value.shape[1]
    lengths = np.where(is_leaf, n_values, 0)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    values = pa.ListArray.from_arrays(
        pa.array(offsets), pa.array(trees.value[is_leaf].ravel()), mask=pa.array(~is_leaf)
    )

    def split_only(array: np.ndarray) -> pa.Array:
        return pa.array(array, mask=is_leaf)

    columns = [
        pa.array(trees.tree),
        pa.array(trees.node),
        split_only(trees.feature),
        split_only(trees.threshold),
        split_only(trees.is_missing_left),
        split_only(trees.left),
        split_only(trees.right),
        values,
        pa.array(trees.cover),
        split_only(trees.gain),
    ]
    outputs = {"output": list(range(len(trees.baselines))), "baseline": list(trees.baselines)}
    roots = {"tree": list(range(trees.n_trees)), "output": trees.output.tolist()}
    return {
        "outputs": pa.Table.from_pydict(outputs, schema=schemas["outputs"]),
        "trees": pa.Table.from_pydict(roots, schema=schemas["trees"]),
        "nodes": pa.Table.from_arrays(columns, schema=schemas["nodes"]),
    }


def _table(tables: Mapping[str, pa.Table], name: str) -> pa.Table:
    import pyarrow as pa

    if name not in tables:
        raise ArtifactError(f'the table "{name}" is missing from the parameters', has=sorted(tables))
    table, schema = tables[name], _schemas()[name]
    missing = [column for column in schema.names if column not in table.column_names]
    _require(not missing, name, f"lacks the columns {', '.join(missing)}")
    try:
        chosen = table.select(schema.names)
        return chosen if chosen.schema.equals(schema) else chosen.cast(schema)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError, ValueError) as error:
        raise ArtifactError(f'the table "{name}" of the parameters has other types: {error}') from None


def _rows(tables: Mapping[str, pa.Table], name: str, nullable: Sequence[str] = ()) -> list[dict[str, Any]]:
    table = _table(tables, name)
    for column in table.column_names:
        _require(column in nullable or table[column].null_count == 0, name, f"has a NULL in {column}")
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows


def _features(rows: list[dict[str, Any]], categories: list[dict[str, Any]], dialect: str) -> tuple[FittedFeature, ...]:
    _require(bool(rows), "features", "is empty")
    by_feature: dict[int, list[str]] = {index: [] for index in range(len(rows))}
    for row in categories:
        known = by_feature.get(row["feature"])
        _require(known is not None and row["code"] == len(known) + 1, "categories", "is out of order")
        by_feature[row["feature"]].append(row["category"])
    features = []
    for index, row in enumerate(rows):
        names = by_feature[index]
        _require(row.pop("feature") == index, "features", "is out of order")
        _require(row["kind"] in KINDS, "features", f'names an unknown kind "{row["kind"]}"')
        _require(row["encoding"] in ENCODINGS, "features", f'names an unknown encoding "{row["encoding"]}"')
        _require(_is_finite(row["mean"]) and _is_finite(row["stddev"]), "features", "has a number that is not finite")
        _require(
            all(before < after for before, after in pairwise(names)),
            "categories",
            f'is not in ascending order for "{row["name"]}"',
        )
        is_text = row["encoding"] in ("label", "one_hot")
        _require(is_text == (row["kind"] == "category"), "features", f'encodes "{row["name"]}" as another kind')
        _require(0 <= row["reference"] <= len(names) + row["has_null"], "features", "has an unknown reference")
        features.append(FittedFeature(**row, categories=tuple(names), dialect=dialect))
    return tuple(features)


def _linear(tables: Mapping[str, pa.Table], shape: Parameters) -> Linear:
    rows = _rows(tables, "coefficients")
    expected = parts.weight_places(shape)
    found = [(row["output"], row["feature"], row["slot"]) for row in rows]
    _require(found == expected, "coefficients", "does not have one weight for each output, feature and slot")
    _require(all(_is_finite(row["weight"]) for row in rows), "coefficients", "has a weight that is not finite")
    weights = iter(row["weight"] for row in rows)
    intercepts, outputs = [], []
    for _ in range(shape.n_outputs):
        intercepts.append(next(weights))
        outputs.append(tuple(tuple(next(weights) for _ in range(f.n_slots)) for f in shape.features))
    means = parts.read_expected(_rows(tables, "expected"), shape)
    return Linear(intercepts=tuple(intercepts), weights=tuple(outputs), expected=means)


def _trees(tables: Mapping[str, pa.Table], shape: Parameters) -> Trees:
    import numpy as np

    outputs, roots, table = _rows(tables, "outputs"), _rows(tables, "trees"), _table(tables, "nodes")
    _require([row["output"] for row in outputs] == list(range(shape.n_outputs)), "outputs", "is out of order")
    _require(bool(roots), "trees", "is empty")
    _require([row["tree"] for row in roots] == list(range(len(roots))), "trees", "is out of order")

    lists = table["values"].combine_chunks()
    lengths = lengths_of(lists)
    is_leaf = lengths > 0
    n_values = int(lengths.max()) if len(lengths) else 0
    _require(n_values > 0 and set(np.unique(lengths)) <= {0, n_values}, "nodes", "has leaves of different lengths")
    value = np.zeros((len(lengths), n_values))
    flat = numbers_of(lists.flatten()).astype(np.float64)
    value[is_leaf] = flat.reshape(-1, n_values)

    def numbers(name: str, at_leaf: float | bool, kind: type) -> np.ndarray:
        array: np.ndarray = np.ascontiguousarray(numbers_of(table[name], at_null=at_leaf), dtype=kind)
        return array

    trees = Trees(
        baselines=tuple(row["baseline"] for row in outputs),
        tree=numbers("tree", -1, np.int32),
        node=numbers("node", -1, np.int32),
        feature=numbers("feature", -1, np.int32),
        threshold=numbers("threshold", 0.0, np.float64),
        is_missing_left=numbers("is_missing_left", False, np.bool_),
        left=numbers("left", -1, np.int32),
        right=numbers("right", -1, np.int32),
        value=value,
        output=np.array([row["output"] for row in roots], dtype=np.int32),
        cover=numbers("cover", -1.0, np.float64),
        gain=numbers("gain", 0.0, np.float64),
    )
    _check_trees(trees, is_leaf, shape)
    return trees


def _check_trees(trees: Trees, is_leaf: np.ndarray, shape: Parameters) -> None:
    import numpy as np

    is_finite = np.isfinite(trees.threshold).all() and np.isfinite(trees.value).all()
    _require(bool(is_finite and np.isfinite(trees.baselines).all()), "nodes", "has a number that is not finite")
    is_counted = (trees.cover > 0).all() and np.isfinite(trees.cover).all() and np.isfinite(trees.gain).all()
    _require(bool(is_counted), "nodes", "has a cover that is not above 0, or a gain that is not finite")
    sizes = np.bincount(np.maximum(trees.tree, 0), minlength=trees.n_trees)
    starts = np.concatenate([[0], np.cumsum(sizes)])
    in_order = len(sizes) == trees.n_trees and (sizes > 0).all() and (trees.tree >= 0).all()
    _require(bool(in_order and (np.diff(trees.tree) >= 0).all()), "nodes", "does not list the trees in order")
    _require(
        bool((trees.node == np.arange(len(trees.node)) - starts[trees.tree]).all()),
        "nodes",
        "does not number the nodes of a tree in order",
    )
    _require(bool((is_leaf == (trees.feature < 0)).all()), "nodes", "has a node that is both split and leaf")
    split = ~is_leaf
    _require(bool((trees.feature[split] < len(shape.features)).all()), "nodes", "splits on an unknown feature")
    # Children behind their parents, each with one parent: a tree, without cycles.
    children = np.stack([trees.left[split], trees.right[split]])
    behind = (children > trees.node[split]).all() and (children < sizes[trees.tree[split]]).all()
    _require(bool(behind), "nodes", "has a child before its parent or outside of its tree")
    parents = np.bincount((children + starts[trees.tree[split]]).ravel(), minlength=len(is_leaf))
    _require(bool((parents == (trees.node > 0)).all()), "nodes", "has a node without exactly one parent")
    n_values, low, high = trees.value.shape[1], int(trees.output.min()), int(trees.output.max())
    fits = (n_values == 1 and low >= 0 and high < shape.n_outputs) or (
        n_values == shape.n_outputs > 1 and low == high == -1
    )
    _require(fits, "trees", "adds to an unknown output")
