"""Rows through trees as arrays: which leaf each row falls into.

A value is first replaced by its rank among the thresholds of its column, which one byte (or two, or four) holds: x is
at most the k-th threshold exactly if its rank is at most k. Missing values take the lowest or the highest rank, by the
side that they go to, so that no comparison asks about them. Then, by the size of a tree:

- few leaves: every comparison for every row, and the leaf's number put together from the bottom up. Nothing is looked
  up by row, so that the processor does 32 rows at a time.
- many leaves: all rows one level down at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from warehouse_ml.scoring.parameters import Trees

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Walk"]

# Rows walked through all trees at once. Where all is compared, a step over fewer rows is so short that threads wait for
# each other instead; where ranks are looked up, those of more rows do not stay in the processor's cache.
_COMPARED_ROWS, _LOOKED_UP_ROWS = 131_072, 32_768
# Up to here comparing everything is the faster way.
_FEW_LEAVES = 100


class Walk:
    """The trees of a model, made ready once.

    Parameters
    ----------
    trees : Trees
    """

    def __init__(self, trees: Trees) -> None:
        self._ranks = ranks = _Ranks(trees)
        self._trees: list[tuple[Callable[[np.ndarray], np.ndarray], np.ndarray, int]] = []
        for start, stop, output in zip(trees.offsets[:-1], trees.offsets[1:], trees.output.tolist(), strict=True):
            nodes = slice(start, stop)
            feature = trees.feature[nodes]
            way = _FromBelow if (feature < 0).sum() <= _FEW_LEAVES else _Descent
            found = way(feature, ranks.row[nodes], ranks.rank[nodes], trees.left[nodes], trees.right[nodes])
            self._trees.append((found, trees.value[nodes], output))
        n_compared = sum(isinstance(found, _FromBelow) for found, _, _ in self._trees)
        self._block_rows = _COMPARED_ROWS if 2 * n_compared > len(self._trees) else _LOOKED_UP_ROWS

    def add(self, encoded: np.ndarray, total: np.ndarray) -> None:
        """Add what each tree says of each row, from the first tree to the last.

        Parameters
        ----------
        encoded : float64 array of shape (n, p)
            NaN where a value is missing.
        total : float64 array of shape (n, n_outputs)
            Is added to.
        """
        for start in range(0, len(encoded), self._block_rows):
            self._add_block(encoded, total, start)

    def _add_block(self, encoded: np.ndarray, total: np.ndarray, start: int) -> None:
        stop = start + self._block_rows
        block, target = self._ranks.of(encoded[start:stop]), total[start:stop]
        for found, value, output in self._trees:
            if output < 0:
                target += value.take(found(block), axis=0)
            else:
                target[:, output] += value[:, 0].take(found(block))


class _Ranks:
    """Ranks of values among the thresholds of their columns, once for each side that missing values go to."""

    def __init__(self, trees: Trees) -> None:
        import numpy as np

        split = np.flatnonzero(trees.feature >= 0)
        feature, is_left = trees.feature[split].astype(np.int64), trees.is_missing_left[split]
        self._sides, row = np.unique(2 * feature + is_left, return_inverse=True)
        thresholds = {int(f): np.unique(trees.threshold[split[feature == f]]) for f in np.unique(feature)}
        self._tables = {f: _Table(values) for f, values in thresholds.items()}
        self.kind = np.min_scalar_type(max((len(values) for values in thresholds.values()), default=0))
        # By node: the row of a block that is compared, and the threshold's rank.
        self.row = np.zeros(len(trees.feature), dtype=np.int64)
        self.row[split] = row
        self.rank = np.zeros(len(trees.feature), dtype=self.kind)
        for f, values in thresholds.items():
            nodes = split[feature == f]
            self.rank[nodes] = np.searchsorted(values, trees.threshold[nodes])

    def of(self, encoded: np.ndarray) -> np.ndarray:
        """Return the ranks of a block: shape (n_sides, n_rows)."""
        import numpy as np

        block = np.empty((len(self._sides), len(encoded)), dtype=self.kind)
        previous = -1
        for row, side in enumerate(self._sides.tolist()):
            feature, is_left = divmod(side, 2)
            if feature != previous:
                column = np.ascontiguousarray(encoded[:, feature])
                rank, previous = self._tables[feature].ranks(column), feature
            block[row] = rank
            if is_left:
                block[row][np.isnan(column)] = 0
        return block


class _Table:
    """Sorted thresholds, searched by all values together: three times as fast as ``searchsorted``, value by value."""

    def __init__(self, thresholds: np.ndarray) -> None:
        import numpy as np

        self._n = len(thresholds)
        self._half = 1 << (self._n.bit_length() - 1)
        self._padded = np.full(2 * self._half - 1, np.inf)
        self._padded[: self._n] = thresholds

    def ranks(self, column: np.ndarray) -> np.ndarray:
        """Return how many thresholds lie below each value; all of them do for NaN, which is missing on the right."""
        import numpy as np

        half = self._half
        is_low = np.less_equal(column, self._padded[half - 1])
        rank: np.ndarray = np.logical_not(is_low).astype(np.int64)
        rank *= half
        step, threshold = np.empty_like(rank), np.empty_like(column)
        while half > 1:
            half //= 2
            np.add(rank, half - 1, out=step)
            # The mode spares a copy: every index is in range anyhow.
            self._padded.take(step, out=threshold, mode="clip")
            np.less_equal(column, threshold, out=is_low)
            step[:] = np.logical_not(is_low, out=is_low)
            step *= half
            rank += step
        np.minimum(rank, self._n, out=rank)
        return rank


class _FromBelow:
    """Numbers the leaves from left to right and finds each row's by comparing all of it.

    Right of a split the numbers are larger than left of it, so that the larger of "left" and "right if it goes right,
    else 0" is the one wanted.
    """

    def __init__(
        self, feature: np.ndarray, row: np.ndarray, rank: np.ndarray, left: np.ndarray, right: np.ndarray
    ) -> None:
        import numpy as np

        self._feature, self._row, self._rank = feature.tolist(), row.tolist(), list(rank)
        self._left, self._right = left.tolist(), right.tolist()
        self._steps: list[tuple[int, int, np.generic, int, int]] = []
        self._leaf_nodes: list[int] = []
        self._n_buffers = 1
        self._compile(0, 0)
        self._nodes = np.array(self._leaf_nodes, dtype=np.int64)

    def __call__(self, block: np.ndarray) -> np.ndarray:
        import numpy as np

        n_rows = block.shape[1]
        found = np.zeros((self._n_buffers, n_rows), dtype=np.uint8)
        is_right = np.empty(n_rows, dtype=bool)
        as_number = is_right.view(np.uint8)
        for target, row, rank, low, high in self._steps:
            np.greater(block[row], rank, out=is_right)
            into = found[target]
            if high < 0:
                # Two leaves, the right one numbered next.
                np.add(as_number, np.uint8(low), out=into)
            elif high > 0:
                # The left side is in place; the right one is a leaf of this number.
                np.multiply(as_number, np.uint8(high), out=as_number)
                np.maximum(into, as_number, out=into)
            else:
                other = found[target + 1]
                np.multiply(other, as_number, out=other)
                if low < 0:
                    np.maximum(into, other, out=into)
                else:
                    np.maximum(other, np.uint8(low), out=into)
        ends: np.ndarray = self._nodes.take(found[0])
        return ends

    def _compile(self, node: int, target: int) -> int:
        """Append the steps that leave the leaf's number in a buffer; return the number if it is a leaf, else -1."""
        if self._feature[node] < 0:
            self._leaf_nodes.append(node)
            return len(self._leaf_nodes) - 1
        self._n_buffers = max(self._n_buffers, target + 2)
        low = self._compile(self._left[node], target)
        high = self._compile(self._right[node], target + 1)
        compared = (target, self._row[node], self._rank[node])
        if low >= 0 and high >= 0:
            self._steps.append((*compared, low, -1))
        elif high >= 0:
            self._steps.append((*compared, -1, high))
        else:
            self._steps.append((*compared, low, 0))
        return -1


class _Descent:
    """Takes all rows one level down at a time.

    The right child stands next to the left one, and a leaf leads to itself: its rank is the highest, so that nothing
    goes right there.
    """

    def __init__(
        self, feature: np.ndarray, row: np.ndarray, rank: np.ndarray, left: np.ndarray, right: np.ndarray
    ) -> None:
        import numpy as np

        split = np.flatnonzero(feature >= 0)
        # The n-th split has its children in places 2 n + 1 and 2 n + 2.
        place = np.zeros(len(feature), dtype=np.int64)
        place[left[split]] = 2 * np.arange(len(split)) + 1
        place[right[split]] = 2 * np.arange(len(split)) + 2
        self._nodes = np.empty(len(feature), dtype=np.int64)
        self._nodes[place] = np.arange(len(feature))
        self._left = np.arange(len(feature))
        self._left[place[split]] = 2 * np.arange(len(split)) + 1
        self._rank = np.full(len(feature), np.iinfo(rank.dtype).max, dtype=rank.dtype)
        self._rank[place[split]] = rank[split]
        self._row = np.zeros(len(feature), dtype=np.int64)
        self._row[place[split]] = row[split]
        self._depth = _depth(feature.tolist(), left.tolist(), right.tolist())

    def __call__(self, block: np.ndarray) -> np.ndarray:
        import numpy as np

        n_rows = block.shape[1]
        flat, own = block.ravel(), np.arange(n_rows)
        place = np.greater(block[self._row[0]], self._rank[0]).astype(np.int64) + self._left[0]
        at, found, compared = np.empty_like(own), np.empty(n_rows, block.dtype), np.empty(n_rows, block.dtype)
        starts = self._row * n_rows
        for _ in range(self._depth - 1):
            starts.take(place, out=at, mode="clip")
            at += own
            flat.take(at, out=found, mode="clip")
            self._rank.take(place, out=compared, mode="clip")
            self._left.take(place, out=at, mode="clip")
            np.add(at, found > compared, out=place)
        ends: np.ndarray = self._nodes.take(place)
        return ends


def _depth(feature: list[int], left: list[int], right: list[int]) -> int:
    """Return the number of levels below the root; parents stand before their children."""
    depth = [0] * len(feature)
    for node, compared in enumerate(feature):
        if compared >= 0:
            depth[left[node]] = depth[right[node]] = depth[node] + 1
    return max(depth)
