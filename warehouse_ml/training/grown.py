"""The trees that scikit-learn has grown, read into arrays of our own."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from warehouse_ml.scoring.nodes import LARGEST
from warehouse_ml.scoring.parameters import Parameters, Trees

if TYPE_CHECKING:
    import numpy as np

__all__ = ["boosted_trees", "exact_threshold", "forest_trees", "gradient_trees"]


def boosted_trees(estimator: Any) -> Trees:
    """Return the trees of a fitted histogram gradient boosting."""
    import numpy as np

    # scikit-learn gives no public way to the trees; the parity check of every training guards what is read here.
    predictors = [(output, tree) for trees in estimator._predictors for output, tree in enumerate(trees)]
    nodes = [tree.nodes for _, tree in predictors]
    sizes = [len(tree) for tree in nodes]
    flat = np.concatenate(nodes)
    is_leaf = flat["is_leaf"].astype(bool)
    # A split off of the missing values alone has an infinite threshold.
    thresholds = np.clip(np.where(is_leaf, 0.0, flat["num_threshold"]), -LARGEST, LARGEST)
    return Trees(
        baselines=tuple(float(value) for value in np.ravel(estimator._baseline_prediction)),
        tree=np.repeat(np.arange(len(sizes), dtype=np.int32), sizes),
        node=np.concatenate([np.arange(size, dtype=np.int32) for size in sizes]),
        feature=np.where(is_leaf, -1, flat["feature_idx"]).astype(np.int32),
        threshold=thresholds,
        is_missing_left=~is_leaf & flat["missing_go_to_left"].astype(bool),
        left=np.where(is_leaf, -1, flat["left"].astype(np.int64)).astype(np.int32),
        right=np.where(is_leaf, -1, flat["right"].astype(np.int64)).astype(np.int32),
        value=np.where(is_leaf, flat["value"], 0.0).reshape(-1, 1),
        output=np.array([output for output, _ in predictors], dtype=np.int32),
        cover=flat["count"].astype(np.float64),
        gain=np.where(is_leaf, 0.0, flat["gain"]),
    )


def forest_trees(estimator: Any, shape: Parameters) -> Trees:
    """Return the trees of a fitted forest, or a tree alone, their thresholds exact for float64 values."""
    import numpy as np

    trees = [member.tree_ for member in getattr(estimator, "estimators_", [estimator])]
    value = np.concatenate([tree.value[:, 0, :] for tree in trees])
    if shape.task == "binary":
        value = value[:, 1:]
    output = np.full(len(trees), -1 if shape.n_outputs > 1 else 0, dtype=np.int32)
    return _of_trees(trees, value, output, (0.0,) * shape.n_outputs)


def gradient_trees(estimator: Any, shape: Parameters) -> Trees:
    """Return the trees of a fitted gradient boosting, its learning rate in their leaves."""
    import numpy as np

    trees = [member.tree_ for stage in estimator.estimators_ for member in stage]
    # scikit-learn gives no public way to where the sums start; the parity check guards what is read here.
    start = np.ravel(estimator._raw_predict_init(np.zeros((1, len(shape.features)), dtype=np.float32)))
    # The exponential loss estimates half of the log odds.
    scale = 2.0 if getattr(estimator, "loss", None) == "exponential" else 1.0
    value = np.concatenate([tree.value[:, 0, :] for tree in trees]) * estimator.learning_rate * scale
    output = np.tile(np.arange(shape.n_outputs, dtype=np.int32), len(estimator.estimators_))
    return _of_trees(trees, value, output, tuple((scale * start).tolist()))


def _of_trees(trees: list[Any], value: np.ndarray, output: np.ndarray, baselines: tuple[float, ...]) -> Trees:
    import numpy as np

    sizes = [tree.node_count for tree in trees]
    left = np.concatenate([tree.children_left for tree in trees])
    is_leaf = left < 0
    raw = np.concatenate([tree.threshold for tree in trees])
    split_thresholds = [exact_threshold(threshold) for threshold in raw[~is_leaf].tolist()]
    thresholds = np.zeros(len(raw))
    thresholds[~is_leaf] = split_thresholds
    cover = np.concatenate([tree.weighted_n_node_samples for tree in trees])
    impurity = cover * np.concatenate([tree.impurity for tree in trees])
    roots = np.repeat(np.cumsum([0, *sizes[:-1]]), sizes)
    right = np.concatenate([tree.children_right for tree in trees])
    gain = impurity - impurity[roots + left] - impurity[roots + right]
    return Trees(
        baselines=baselines,
        tree=np.repeat(np.arange(len(sizes), dtype=np.int32), sizes),
        node=np.concatenate([np.arange(size, dtype=np.int32) for size in sizes]),
        feature=np.where(is_leaf, -1, np.concatenate([tree.feature for tree in trees])).astype(np.int32),
        threshold=thresholds,
        is_missing_left=~is_leaf & np.concatenate([tree.missing_go_to_left for tree in trees]).astype(bool),
        left=np.where(is_leaf, -1, left).astype(np.int32),
        right=np.where(is_leaf, -1, right).astype(np.int32),
        value=np.where(is_leaf[:, None], value, 0.0),
        output=output,
        cover=cover,
        gain=np.where(is_leaf, 0.0, gain),
    )


def exact_threshold(threshold: float) -> float:
    """Return the float64 threshold that decides as float32(x) <= threshold does, for every float64 x.

    scikit-learn's forests compare after rounding to float32. Let f be the largest float32 at or below the threshold:
    x goes left when it rounds to f or less, which is up to the midpoint of f and its successor, the midpoint itself
    included only if it rounds to f (the even one).
    """
    import numpy as np

    if math.isinf(threshold):
        # "Everything but what is missing": every finite value is at most the largest one.
        return math.copysign(LARGEST, threshold)
    with np.errstate(over="ignore", under="ignore"):
        f = np.float32(threshold)
        if float(f) > threshold:
            f = np.nextafter(f, np.float32(-np.inf))
        successor = np.nextafter(f, np.float32(np.inf))
    if not np.isfinite(successor):
        return LARGEST
    middle = (float(f) + float(successor)) / 2
    return middle if np.float32(middle) == f else float(np.nextafter(middle, -np.inf))
