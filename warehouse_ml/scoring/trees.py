"""Trees as SQL: each a flat CASE, added up in layers.

Three things make it fast. Every split's larger side is flattened into the same CASE and only the smaller one nests, so
that a row passes few comparisons and an expression is at most log2(leaves) deep. A missing value becomes an infinity
on the side that it goes to, so that each condition can be turned round and no branch asks about NULL. And the trees
are added in nested queries of ten: planning one expression of hundreds is quadratic, and what a query works with stays
in the processor's cache.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sqlglot import exp

from warehouse_ml.errors import ArtifactError
from warehouse_ml.scoring import nodes
from warehouse_ml.scoring.features import encode_select, encoded_name
from warehouse_ml.scoring.parameters import Parameters, Trees

if TYPE_CHECKING:
    import numpy as np

__all__ = ["raw_select"]

_TREES_IN_LAYER = 10
# Of queries in each other; their depth is bounded by Python's stack.
_MOST_LAYERS = 50


def raw_select(parameters: Parameters, source: exp.Expr, keep: Sequence[str], names: Sequence[str]) -> exp.Select:
    """Return the query of the trees' sums (boosting) or means (forests).

    Parameters
    ----------
    parameters : Parameters
        Of a model of trees.
    source : exp.Expr
        The relation to be scored.
    keep : sequence of str
        Columns that pass through.
    names : sequence of str
        What each output is called.

    Returns
    -------
    exp.Select
        The kept columns and one double for each output, added from the first tree to the last, as scikit-learn does.
    """
    trees = parameters.trees
    if trees is None:
        raise ArtifactError(f"the parameters of a {parameters.model_type.lower()} have no trees")
    sides = _sides(trees)
    query = nodes.select_from(
        nodes.kept(keep)
        + [
            nodes.projection(
                _with_sentinel(feature, is_missing_left, parameters.features[feature].encoding == "double"),
                _side_name(feature, is_missing_left),
            )
            for feature, is_missing_left in sides
        ],
        encode_select(parameters.features, source, keep),
        "wml_encoded",
    )
    inputs = [_side_name(*side) for side in sides]
    builder = _CaseBuilder(trees)
    n_in_layer = max(_TREES_IN_LAYER, math.ceil(trees.n_trees / _MOST_LAYERS))
    for start in range(0, trees.n_trees, n_in_layer):
        layer = range(start, min(start + n_in_layer, trees.n_trees))
        is_last = layer.stop == trees.n_trees
        sums = []
        for output, name in enumerate(names):
            before = nodes.number(trees.baselines[output]) if start == 0 else nodes.column(name)
            terms = [builder.case(tree, output) for tree in layer if trees.output[tree] in (-1, output)]
            added = nodes.total([before, *terms])
            if is_last and parameters.is_forest:
                added = exp.Div(this=exp.Paren(this=added), expression=nodes.number(float(trees.n_trees)))
            sums.append(nodes.projection(added, name))
        projections = nodes.kept(keep) + sums + ([] if is_last else nodes.kept(inputs))
        query = nodes.select_from(projections, query, "wml_layer")
    return query


def _sides(trees: Trees) -> list[tuple[int, bool]]:
    """Return each feature that is compared, with the side that its missing values go to there; in stable order."""
    split = trees.feature >= 0
    pairs = zip(trees.feature[split].tolist(), trees.is_missing_left[split].tolist(), strict=True)
    return sorted(set(pairs))


def _side_name(feature: int, is_missing_left: bool) -> str:
    return f"{encoded_name(feature)}_{'low' if is_missing_left else 'high'}"


def _with_sentinel(feature: int, is_missing_left: bool, has_null: bool) -> exp.Expr:
    value = nodes.column(encoded_name(feature))
    if not has_null:
        return value
    infinity = nodes.infinity("-" if is_missing_left else "")
    # Half the time of coalesce(value, infinity) in DuckDB.
    is_known = exp.Not(this=exp.Is(this=value, expression=exp.Null()))
    return nodes.case([(is_known, value.copy())], infinity)


class _CaseBuilder:
    """Makes the CASE of one tree; the arrays are lists here, which Python reads faster."""

    def __init__(self, trees: Trees) -> None:
        self._trees = trees
        self._offsets = trees.offsets.tolist()
        self._feature = trees.feature.tolist()
        self._threshold = trees.threshold.tolist()
        self._is_missing_left = trees.is_missing_left.tolist()
        self._left = trees.left.tolist()
        self._right = trees.right.tolist()
        self._n_leaves = _leaves_below(trees)

    def case(self, tree: int, output: int) -> exp.Expr:
        """Return what a tree adds to an output."""
        slot = output if self._trees.value.shape[1] > 1 else 0
        return self._case(self._offsets[tree], self._offsets[tree], self._trees.value[:, slot])

    def _case(self, node: int, root: int, value: np.ndarray) -> exp.Expr:
        ifs = []
        while self._feature[node] >= 0:
            left, right = root + self._left[node], root + self._right[node]
            name = nodes.column(_side_name(self._feature[node], self._is_missing_left[node]))
            threshold = nodes.number(self._threshold[node])
            if self._n_leaves[left] <= self._n_leaves[right]:
                condition: exp.Expr = exp.LTE(this=name, expression=threshold)
                smaller, node = left, right
            else:
                condition = exp.GT(this=name, expression=threshold)
                smaller, node = right, left
            ifs.append(exp.If(this=condition, true=self._case(smaller, root, value)))
        leaf = nodes.number(float(value[node]))
        return exp.Case(ifs=ifs, default=leaf) if ifs else leaf


def _leaves_below(trees: Trees) -> list[int]:
    """Count the leaves under each node; children stand behind their parents, so one pass from the end does."""
    counts = [1] * len(trees.feature)
    root = trees.offsets[trees.tree].tolist()
    left, right, feature = trees.left.tolist(), trees.right.tolist(), trees.feature.tolist()
    for node in range(len(counts) - 1, -1, -1):
        if feature[node] >= 0:
            counts[node] = counts[root[node] + left[node]] + counts[root[node] + right[node]]
    return counts
