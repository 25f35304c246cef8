"""The design matrix of a linear model: every code of a category as a column of its own."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from warehouse_ml.scoring.arrays import linear_terms
from warehouse_ml.scoring.parameters import Linear, Parameters

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Design"]

_DENSE_BYTES = 512 * 2**20


class Design:
    """Gives every code of a category a column of its own."""

    def __init__(self, shape: Parameters, n_rows: int) -> None:
        self._features = shape.features
        self._starts = [0]
        for feature in shape.features:
            dropped = 1 if feature.reference else 0
            self._starts.append(self._starts[-1] + feature.n_slots - dropped)
        self._is_dense = self._starts[-1] * n_rows * 8 <= _DENSE_BYTES

    def expand(self, encoded: np.ndarray) -> Any:
        """Return the design matrix of shape (n, n_columns), dense or, if that were too large, sparse."""
        import numpy as np
        from scipy import sparse

        n_rows = len(encoded)
        if all(feature.encoding != "one_hot" for feature in self._features):
            return encoded
        if self._is_dense:
            dense = np.zeros((n_rows, self._starts[-1]))
            for index, feature in enumerate(self._features):
                if feature.encoding == "one_hot":
                    rows, columns, values = self._entries(index, encoded[:, index])
                    dense[rows, columns] = values
                else:
                    dense[:, self._starts[index]] = encoded[:, index]
            return dense
        parts = [self._entries(index, encoded[:, index]) for index in range(len(self._features))]
        rows, columns, values = (np.concatenate([part[i] for part in parts]) for i in range(3))
        return sparse.csr_matrix((values, (rows, columns)), shape=(n_rows, self._starts[-1]))

    def by_feature(self, coefficients: np.ndarray) -> tuple[tuple[float, ...], ...]:
        """Return one output's coefficients by feature and slot; the reference of a dummy encoding weighs 0."""
        weights = []
        for index, feature in enumerate(self._features):
            slots = coefficients[self._starts[index] : self._starts[index + 1]].tolist()
            if feature.reference:
                slots.insert(feature.reference - 1, 0.0)
            weights.append(tuple(slots))
        return tuple(weights)

    def linear(
        self,
        intercepts: Iterable[float],
        coefficients: np.ndarray,
        encoded: np.ndarray,
        weight: np.ndarray | None = None,
    ) -> Linear:
        """Return the linear model of one row of coefficients an output, fitted on these rows with these weights."""
        import numpy as np

        weights = tuple(self.by_feature(row) for row in coefficients)
        expected = tuple(
            tuple(
                float(np.average(linear_terms(feature, slots, encoded[:, index]), weights=weight))
                for index, (feature, slots) in enumerate(zip(self._features, by_feature, strict=True))
            )
            for by_feature in weights
        )
        return Linear(tuple(float(value) for value in intercepts), weights, expected)

    def owners(self) -> list[int]:
        """Return the feature that each column belongs to."""
        widths = (end - start for start, end in itertools.pairwise(self._starts))
        return [index for index, width in enumerate(widths) for _ in range(width)]

    def _entries(self, index: int, column: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        import numpy as np

        feature, start = self._features[index], self._starts[index]
        if feature.encoding != "one_hot":
            return np.arange(len(column)), np.full(len(column), start), column
        codes = column.astype(np.int64)
        rows = np.flatnonzero((codes > 0) & (codes != feature.reference))
        codes = codes[rows]
        after_reference = (codes > feature.reference) if feature.reference else np.zeros(len(rows), dtype=bool)
        return rows, start + codes - 1 - after_reference, np.ones(len(rows))
