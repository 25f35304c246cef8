"""What each feature adds to a prediction: exact Shapley values.

A linear model's are its terms, less their means over the training rows. For trees they are those of path-dependent
TreeSHAP (Lundberg and others, 2018): a feature that is not known is averaged over, at each split by the training rows
that went either way. To a leaf of value v whose path asks for features 1..d belongs the game

    value(S) = v * product of o[j] for j in S * product of z[j] for j not in S

where o[j] is 1 if the row meets all conditions of the path on feature j, else 0, and z[j] is the share of training
rows that do. With the weights of Shapley's formula written as integrals of t^s (1 - t)^(d - 1 - s) over [0, 1], all
coalitions add up to one integral,

    phi[i] = v * (o[i] - z[i]) * integral of the product of (o[j] t + z[j] (1 - t)) for j other than i

of a polynomial of degree d - 1, for which Gauss's quadrature with half as many points is exact. So a tree costs no
more than a walk down, to multiply, and a walk up, to add the leaves (the order of the sums of Yu and others, "Linear
tree Shap", 2022): nodes times d / 2 for each row, where the original algorithm takes leaves times d squared.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from warehouse_ml.scoring.arrays import linear_terms, raw_values
from warehouse_ml.scoring.parameters import Linear, Parameters, Trees

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Attributions", "Explainer", "explain"]

# Numbers held for a level of a tree at a time: few enough to stay in the processor's cache.
_BLOCK_NUMBERS = 131_072
_MOST_ROWS, _FEWEST_ROWS = 4_096, 64
# A share of rows smaller than any that can be counted, so that no product becomes 0 and is divided by.
_SMALLEST_SHARE = 1e-100


@dataclass(frozen=True, eq=False)
class Attributions:
    """What n predictions are made of: for each output, ``baseline + values.sum(axis=-1)`` is ``prediction``.

    Parameters
    ----------
    values : float64 array of shape (n, n_outputs, n_features)
        What each feature adds.
    baseline : float64 array of shape (n_outputs,)
        What is predicted when nothing is known of a row: the mean over the training rows.
    prediction : float64 array of shape (n, n_outputs)
        As ``raw_values`` gives it: log-odds for a logistic regression or boosted classifier, probabilities for a
        forest, else the value.
    """

    values: np.ndarray
    baseline: np.ndarray
    prediction: np.ndarray


def explain(parameters: Parameters, encoded: np.ndarray) -> Attributions:
    """Explain predictions.

    Parameters
    ----------
    parameters : Parameters
        The fitted model.
    encoded : float64 array of shape (n, p)
        The columns that ``encode_select`` gives, NaN for NULL.

    Raises
    ------
    ArtifactError
        If the model is neither linear nor made of trees.
    """
    return Explainer(parameters)(encoded)


class Explainer:
    """Explains batches of rows one after the other, the trees prepared once.

    Parameters
    ----------
    parameters : Parameters
        The fitted model.

    Raises
    ------
    ArtifactError
        If the model is neither linear nor made of trees.
    """

    def __init__(self, parameters: Parameters) -> None:
        import numpy as np

        self._parameters = parameters
        self._linear = parameters.only_linear() if parameters.trees is None else None
        self._trees: list[_Tree] = []
        if self._linear is not None:
            totals = [sum(expected) for expected in self._linear.expected]
            self.baseline = np.array(self._linear.intercepts) + np.array(totals)
        elif parameters.trees is not None:
            trees = parameters.trees
            self._trees = [_Tree(trees, tree, parameters.n_outputs) for tree in range(trees.n_trees)]
            self.baseline = np.array(trees.baselines)
            for tree in self._trees:
                self.baseline[tree.outputs] += tree.expected
            if parameters.is_forest:
                self.baseline /= trees.n_trees

    def __call__(self, encoded: np.ndarray) -> Attributions:
        """Explain the predictions of an encoded matrix, as ``explain`` does."""
        if self._linear is not None:
            values = _linear_values(self._linear, self._parameters, encoded)
        else:
            values = self._tree_values(encoded)
        return Attributions(values, self.baseline, raw_values(self._parameters, encoded))

    def _tree_values(self, encoded: np.ndarray) -> np.ndarray:
        import numpy as np

        n_rows, n_features = encoded.shape
        values = np.zeros((n_rows, self._parameters.n_outputs, n_features))
        if not n_rows:
            return values
        n_wanted = max((tree.n_numbers for tree in self._trees), default=1)
        size = min(max(_BLOCK_NUMBERS // n_wanted, _FEWEST_ROWS), _MOST_ROWS)
        for start in range(0, n_rows, size):
            columns = _columns(encoded[start : start + size])
            # By output, feature and row: each addition then runs over rows that lie together.
            total = np.zeros((self._parameters.n_outputs, n_features, columns.shape[1]))
            for tree in self._trees:
                tree.add(columns, total[tree.outputs])
            values[start : start + size] = total.transpose(2, 0, 1)
        if self._parameters.is_forest:
            values /= len(self._trees)
        return values


def _linear_values(linear: Linear, parameters: Parameters, encoded: np.ndarray) -> np.ndarray:
    import numpy as np

    values = np.empty((len(encoded), parameters.n_outputs, len(parameters.features)))
    for output, (weights, expected) in enumerate(zip(linear.weights, linear.expected, strict=True)):
        for index, (feature, slots) in enumerate(zip(parameters.features, weights, strict=True)):
            values[:, output, index] = linear_terms(feature, slots, encoded[:, index]) - expected[index]
    return values


def _columns(encoded: np.ndarray) -> np.ndarray:
    """Return rows 2 f and 2 f + 1: feature f with its missing values at the right and at the left of everything."""
    import numpy as np

    columns = np.repeat(encoded.T, 2, axis=0)
    is_missing = np.isnan(columns)
    columns[0::2][is_missing[0::2]] = np.inf
    columns[1::2][is_missing[1::2]] = -np.inf
    return columns


class _Tree:
    """One tree, made ready: its edges level by level, and at each the numbers that no row changes.

    An edge leads from a split to a child. Where a feature is asked for again, the conditions on it count as one: the
    row meets them if it meets all, and the shares are multiplied; the new edge's factor takes the place of the old
    one's, and what the old edge adds for the leaves below is taken back.
    """

    def __init__(self, trees: Trees, tree: int, n_outputs: int) -> None:
        part = slice(*trees.offsets[tree : tree + 2])
        nodes = _Nodes(trees, part)
        self.outputs = (
            slice(0, n_outputs) if trees.output[tree] < 0 else slice(trees.output[tree], trees.output[tree] + 1)
        )
        self.expected = nodes.reach[nodes.is_leaf] @ nodes.value[nodes.is_leaf]
        self._n_points = max(1, (int(nodes.n_asked.max()) + 1) // 2)
        self._n_edges = len(nodes.feature) - 1
        points = _gauss(self._n_points)
        self._levels = [_Level(nodes, level, points) for level in nodes.levels]
        widest = max((len(level.parent) for level in self._levels), default=1)
        self.n_numbers = widest * self._n_points * nodes.value.shape[1]

    def add(self, columns: np.ndarray, total: np.ndarray) -> None:
        """Add what each feature adds for the rows of ``_columns``: total has the shape (n_values, n_features, n)."""
        import numpy as np

        n_rows = columns.shape[1]
        met = np.empty((self._n_edges, n_rows), dtype=bool)
        product = np.ones((1, self._n_points, n_rows))
        products = []
        for level in self._levels:
            product = level.down(columns, met, product)
            products.append(product)
        below = None
        for level, product in zip(reversed(self._levels), reversed(products), strict=True):
            below = level.up(met, product, below, total)


class _Nodes:
    """A tree's nodes as arrays of one entry a node, and the nodes of each level."""

    def __init__(self, trees: Trees, part: slice) -> None:
        import numpy as np

        self.feature = trees.feature[part].astype(np.int64)
        self.threshold = trees.threshold[part]
        self.is_missing_left = trees.is_missing_left[part]
        self.left, self.right = trees.left[part].astype(np.int64), trees.right[part].astype(np.int64)
        self.value = trees.value[part]
        self.is_leaf = self.feature < 0
        n_nodes = len(self.feature)
        splits = np.flatnonzero(~self.is_leaf)
        left, right = self.left[splits], self.right[splits]
        self.parent = np.full(n_nodes, -1)
        self.parent[left] = self.parent[right] = splits
        self.asked = np.where(self.parent < 0, -1, self.feature[self.parent])
        self.is_left = np.zeros(n_nodes, dtype=bool)
        self.is_left[left] = True
        # Of the rows that reach the split, those that go on to the child.
        cover = trees.cover[part]
        share = np.ones(n_nodes)
        share[left] = cover[left] / (cover[left] + cover[right])
        share[right] = cover[right] / (cover[left] + cover[right])
        # The last edge of the path before that asks for the same feature, -1 if there is none.
        self.above = np.full(n_nodes, -1)
        self.share = np.ones(n_nodes)
        self.reach = np.ones(n_nodes)
        self.n_asked = np.zeros(n_nodes, dtype=np.int64)
        self.edge = np.full(n_nodes, -1)
        self.position = np.zeros(n_nodes, dtype=np.int64)
        self.levels: list[np.ndarray] = []
        first = 0
        above_leaves = splits[:1]
        while len(above_leaves):
            nodes = np.concatenate([self.left[above_leaves], self.right[above_leaves]])
            self.above[nodes] = self._edge_above(nodes)
            is_again = self.above[nodes] >= 0
            nodes = nodes[np.argsort(is_again, kind="stable")]
            is_again = self.above[nodes] >= 0
            before = np.where(is_again, self.share[self.above[nodes]], 1.0)
            self.share[nodes] = np.maximum(share[nodes] * before, _SMALLEST_SHARE)
            self.reach[nodes] = self.reach[self.parent[nodes]] * share[nodes]
            self.n_asked[nodes] = self.n_asked[self.parent[nodes]] + ~is_again
            self.position[nodes] = np.arange(len(nodes))
            self.edge[nodes] = first + np.arange(len(nodes))
            self.levels.append(nodes)
            first += len(nodes)
            above_leaves = nodes[~self.is_leaf[nodes]]

    def _edge_above(self, nodes: np.ndarray) -> np.ndarray:
        import numpy as np

        found, at = np.full(len(nodes), -1), self.parent[nodes]
        for _ in self.levels:
            is_same = (found < 0) & (self.asked[at] == self.asked[nodes])
            found[is_same] = at[is_same]
            at = self.parent[at]
        return found


class _Level:
    """The edges between two levels of a tree; last those whose feature was asked for before on the path."""

    def __init__(self, nodes: _Nodes, level: np.ndarray, points: tuple[np.ndarray, np.ndarray]) -> None:
        import numpy as np

        point, weight = points
        parent = nodes.parent[level]
        self.parent = nodes.position[parent]
        self._edges = slice(int(nodes.edge[level[0]]), int(nodes.edge[level[-1]]) + 1)
        self._column = 2 * nodes.asked[level] + nodes.is_missing_left[parent]
        self._threshold = nodes.threshold[parent][:, None]
        self._is_left = nodes.is_left[level][:, None]
        self._meets, self._fails = _factors(nodes.share[level], point)
        # What is added for a row is (o - z) / factor: (1 - z) / meets, or -z / fails, which is -1 / (1 - point).
        meets = weight * (1.0 - nodes.share[level])[:, None] / self._meets[:, :, 0]
        fails = np.tile(-weight / (1.0 - point), (len(level), 1))
        above = nodes.above[level]
        self._n_new = int((above < 0).sum())
        above = above[self._n_new :]
        self._above = nodes.edge[above]
        meets_above, fails_above = _factors(nodes.share[above], point)
        self._fails_again = self._fails[self._n_new :] / fails_above
        self._meets[self._n_new :] /= meets_above
        self._fails[self._n_new :] /= meets_above
        taken_back = weight * (1.0 - nodes.share[above])[:, None] / meets_above[:, :, 0]
        self._weights_last = (fails[self._n_new :] - taken_back)[:, None, None]
        meets[self._n_new :] -= taken_back
        fails[self._n_new :] = 0.0
        self._weights = np.stack([meets, fails], axis=1)[:, None]
        is_leaf = nodes.is_leaf[level]
        self._leaves, self._splits = np.flatnonzero(is_leaf), np.flatnonzero(~is_leaf)
        self._values = nodes.value[level[self._leaves]][:, :, None, None]
        splits = level[self._splits]
        self._left, self._right = nodes.position[nodes.left[splits]], nodes.position[nodes.right[splits]]
        self._features, of_edge = np.unique(nodes.asked[level], return_inverse=True)
        self._of_feature = (of_edge == np.arange(len(self._features))[:, None]).astype(np.float64)

    def down(self, columns: np.ndarray, met: np.ndarray, above: np.ndarray) -> np.ndarray:
        """Return the products of the factors from the root to each edge's end, shape (e, q, n); note who meets what."""
        import numpy as np

        here = met[self._edges]
        np.equal(columns[self._column] <= self._threshold, self._is_left, out=here)
        here[self._n_new :] &= met[self._above]
        product: np.ndarray = np.where(here[:, None], self._meets, self._fails)
        if len(self._above):
            is_open = met[self._above][:, None]
            product[self._n_new :] = np.where(is_open, product[self._n_new :], self._fails_again)
        product *= above[self.parent]
        return product

    def up(self, met: np.ndarray, product: np.ndarray, below: np.ndarray | None, total: np.ndarray) -> np.ndarray:
        """Return the sums of the leaves under each edge, shape (e, n_values, q, n), and add what its feature adds."""
        import numpy as np

        here = met[self._edges]
        n_edges, n_points, n_rows = product.shape
        sums = np.empty((n_edges, len(total), n_points, n_rows))
        sums[self._leaves] = product[self._leaves][:, None] * self._values
        if below is not None:
            sums[self._splits] = below[self._left] + below[self._right]
        either = np.matmul(self._weights, sums)
        added = np.where(here[:, None], either[:, :, 0], either[:, :, 1])
        if len(self._above):
            is_last = met[self._above] & ~here[self._n_new :]
            last = np.matmul(self._weights_last, sums[self._n_new :])[:, :, 0]
            np.copyto(added[self._n_new :], last, where=is_last[:, None])
        by_feature = self._of_feature @ added.reshape(n_edges, -1)
        total[:, self._features] += by_feature.reshape(-1, len(total), n_rows).swapaxes(0, 1)
        return sums


def _gauss(n_points: int) -> tuple[np.ndarray, np.ndarray]:
    """Return Gauss's points in (0, 1) and their weights, exact for polynomials of degree 2 n_points - 1."""
    import numpy as np

    point, weight = np.polynomial.legendre.leggauss(n_points)
    return (point + 1.0) / 2.0, weight / 2.0


def _factors(share: np.ndarray, point: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return o t + z (1 - t) at the points t for o = 1 and o = 0, each of shape (e, q, 1)."""
    fails = share[:, None] * (1.0 - point)
    return (fails + point)[:, :, None], fails[:, :, None]
