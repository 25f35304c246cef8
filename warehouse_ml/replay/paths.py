"""A row's way through the trees of a model, in words."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from warehouse_ml.scoring.features import FittedFeature
from warehouse_ml.scoring.parameters import Parameters, Trees

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Condition", "TreePath", "largest_paths"]


@dataclass(frozen=True)
class Condition:
    """What all splits of a path ask of one feature together: ``above < x <= up_to``, in the numbers of the trees.

    Parameters
    ----------
    feature : str
    above, up_to : float or None
        None where the path does not ask.
    is_missing : bool
        The row has no value, so that each split sent it to its own side for such rows.
    text : str
        In words.
    """

    feature: str
    above: float | None
    up_to: float | None
    is_missing: bool
    text: str


@dataclass(frozen=True)
class TreePath:
    """The leaf of a tree that a row falls into.

    Parameters
    ----------
    tree : int
        From 1, in the order in which they are added.
    adds : float
        To what is explained; of a forest, its share of the mean.
    n_rows : float
        Training rows in the leaf, by their weights where the trees were grown with them.
    conditions : tuple of Condition
        In the order in which the path asks for them first.
    """

    tree: int
    adds: float
    n_rows: float
    conditions: tuple[Condition, ...]

    @property
    def text(self) -> str:
        """The conditions in words."""
        return " and ".join(condition.text for condition in self.conditions) or "every row"


def largest_paths(parameters: Parameters, encoded: np.ndarray, output: int, most: int) -> list[TreePath]:
    """Return the paths that count most for a row, the one that counts most first.

    Boosted trees are ordered by the size of what they add; the trees of a forest, which add about the same, by how far
    the leaf is from the mean of the tree.

    Parameters
    ----------
    parameters : Parameters
        Of a model of trees.
    encoded : float64 array of shape (p,)
        The row, NaN for NULL.
    output : int
        Which sum is explained.
    most : int
        At most so many are returned.
    """
    trees = parameters.trees
    if trees is None:
        return []
    row = encoded.tolist()
    slot = output if trees.value.shape[1] > 1 else 0
    share = trees.n_trees if parameters.is_forest else 1
    ranked = []
    for tree in range(trees.n_trees):
        if trees.output[tree] not in (-1, output):
            continue
        leaf, _ = _walk(trees, tree, row)
        value = float(trees.value[leaf, slot])
        usual = _mean(trees, tree, slot) if parameters.is_forest else 0.0
        ranked.append((-abs(value - usual), tree, value))
    found = []
    for _, tree, value in sorted(ranked)[:most]:
        leaf, steps = _walk(trees, tree, row)
        conditions = _merged(parameters.features, steps, row)
        found.append(TreePath(tree + 1, value / share, float(trees.cover[leaf]), conditions))
    return found


def _walk(trees: Trees, tree: int, row: Sequence[float]) -> tuple[int, list[tuple[int, float, bool]]]:
    """Return the leaf and the steps to it: feature, threshold, whether the row went left."""
    root = int(trees.offsets[tree])
    node = root
    steps = []
    while trees.feature[node] >= 0:
        feature, threshold = int(trees.feature[node]), float(trees.threshold[node])
        value = row[feature]
        is_left = bool(trees.is_missing_left[node]) if math.isnan(value) else value <= threshold
        steps.append((feature, threshold, is_left))
        node = root + int(trees.left[node] if is_left else trees.right[node])
    return node, steps


def _mean(trees: Trees, tree: int, slot: int) -> float:
    nodes = slice(*trees.offsets[tree : tree + 2])
    is_leaf = trees.feature[nodes] < 0
    cover = trees.cover[nodes][is_leaf]
    return float(trees.value[nodes, slot][is_leaf] @ cover / cover.sum())


def _merged(
    features: Sequence[FittedFeature], steps: Sequence[tuple[int, float, bool]], row: Sequence[float]
) -> tuple[Condition, ...]:
    bounds: dict[int, tuple[float, float]] = {}
    for split, threshold, is_left in steps:
        above, up_to = bounds.get(split, (-math.inf, math.inf))
        bounds[split] = (above, min(up_to, threshold)) if is_left else (max(above, threshold), up_to)
    conditions = []
    for index, (above, up_to) in bounds.items():
        feature, is_missing = features[index], math.isnan(row[index])
        low, high = (bound if math.isfinite(bound) else None for bound in (above, up_to))
        text = f"{feature.name} is missing" if is_missing else _told(feature, low, high)
        conditions.append(Condition(feature.name, low, high, is_missing, text))
    return tuple(conditions)


def _told(feature: FittedFeature, above: float | None, up_to: float | None) -> str:
    if feature.encoding in ("label", "one_hot"):
        return _told_category(feature, above, up_to)
    if feature.kind == "boolean" and (above, up_to).count(None) == 1 and 0 <= (above or up_to or 0) < 1:
        return f"{feature.name} is {'false' if above is None else 'true'}"
    low, high = (None if bound is None else _bound(feature, bound) for bound in (above, up_to))
    return _between(feature.name, low, high)


def _told_category(feature: FittedFeature, above: float | None, up_to: float | None) -> str:
    """Tell a range of codes by the texts at its ends: codes are in the order of the texts, 0 is none of them."""
    last = len(feature.categories)
    first_code = 0 if above is None else math.floor(above) + 1
    last_code = last if up_to is None else min(math.floor(up_to), last)
    if last_code <= 0:
        return f"{feature.name} is missing or was not seen in training"
    if first_code == last_code:
        return f"{feature.name} = '{feature.categories[last_code - 1]}'"
    low = f"'{feature.categories[first_code - 2]}'" if first_code >= 2 else None
    high = f"'{feature.categories[last_code - 1]}'" if last_code < last else None
    if low is None and high is None:
        return f"{feature.name} was seen in training"
    return _between(feature.name, low, high) + (" or unseen" if first_code == 0 else "")


def _bound(feature: FittedFeature, value: float) -> str:
    if feature.encoding == "standard":
        value = value * feature.stddev + feature.mean
    try:
        if feature.kind == "date":
            return (dt.date(1970, 1, 1) + dt.timedelta(days=math.floor(value))).isoformat()
        if feature.kind == "timestamp":
            return (dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(seconds=value)).strftime("%Y-%m-%d %H:%M:%S")
    except OverflowError:
        return f"{value:.6g}"
    return f"{value:.6g}"


def _between(name: str, low: str | None, high: str | None) -> str:
    if low is None:
        return f"{name} <= {high}"
    return f"{name} > {low}" if high is None else f"{low} < {name} <= {high}"
