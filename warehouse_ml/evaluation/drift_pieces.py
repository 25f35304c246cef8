"""The pieces that a reference column's range is cut into, and the cells within them."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["SHARES", "STRIDE", "UNCUT", "Piece", "Pieces", "cut"]

SHARES = (
    (1, 1000),
    (1, 100),
    *((tenth, 10) for tenth in range(1, 10)),
    (99, 100),
    (999, 1000),
)
"""Where the range of a reference column is cut: at every tenth of its rows, and in the tails."""

STRIDE = 1500
"""How far apart the first cells of two pieces are, and more than the cells of a piece."""

_TENTHS = range(2, 11)
_ROWS_PER_CELL = 50
_MOST_CELLS = STRIDE - 2
# A column of fewer values than this, or of fewer than a twentieth of its rows, is counted value by value.
_MANY_VALUES = 5000
_ROWS_PER_VALUE = 20


@dataclass(frozen=True)
class Piece:
    """An interval of a column's range, above the pieces before it.

    Parameters
    ----------
    index : int
        In the order of the numbers.
    tenth : int
        The tenth of the reference that its numbers are in, 1 to 10.
    low, high : float
        Its ends, in the column's own unit.
    n_cells : int
        How many cells of equal width it is cut into; 0 where it is a single value.
    is_below : bool
        Whether it holds the numbers below ``high`` and not ``high`` itself.
    """

    index: int
    tenth: int
    low: float
    high: float
    n_cells: int
    is_below: bool = False

    @property
    def written(self) -> dict[str, str | None]:
        """What ``drift_rows.sql`` writes to place a number."""
        scale = self.n_cells / (self.high - self.low) if self.n_cells > 1 else 0.0
        return {
            "comparison": "<" if self.is_below else "<=",
            "bound": _written(self.high),
            "first_cell": _written(float(self.index * STRIDE)),
            "start": _written(self.low),
            "scale": _written(scale) if scale else None,
        }


@dataclass(frozen=True)
class Pieces:
    """How the numbers of one reference column are counted.

    Parameters
    ----------
    pieces : sequence of Piece
        In order, from the numbers below the reference's on; empty where values are counted one by one.
    edges : sequence of float
        The values that one to nine tenths of the reference rows do not exceed; empty without a number.
    origin : float
        What is taken off numbers before they are added up.
    stddev : float or None
        Of the reference, dividing by n.
    """

    pieces: tuple[Piece, ...]
    edges: tuple[float, ...]
    origin: float
    stddev: float | None

    @property
    def written(self) -> dict[str, Any]:
        """What the statements are told of the column."""
        return {
            "pieces": [piece.written for piece in self.pieces[:-1]],
            "above": _written(float(self.pieces[-1].index * STRIDE)) if self.pieces else None,
            "edges": [_written(edge) for edge in self.edges],
            "origin": _written(self.origin),
        }

    def rows(self, column: int) -> list[dict[str, Any]]:
        """Return the rows of ``wml_drift_pieces``."""
        told = {"input": column, "origin": self.origin, "stddev": self.stddev}
        if not self.pieces:
            bounds = {"low": None, "high": None, "width": None}
            return [{**told, **bounds, "piece": tenth, "tenth": tenth} for tenth in range(1, 11)]
        return [
            {
                **told,
                "piece": piece.index,
                "tenth": piece.tenth,
                "low": piece.low,
                "high": piece.high,
                "width": (piece.high - piece.low) / piece.n_cells if piece.n_cells else None,
            }
            for piece in self.pieces
        ]


UNCUT = Pieces((), (), 0.0, None)
"""Of a column without a number."""


def cut(profile: Mapping[str, Any]) -> Pieces:
    """Return how the numbers of a column are counted, from its row of ``drift_edges.sql``.

    Where many values are alike, each is counted; else cells of about fifty reference rows are. They have equal widths
    between two quantiles, so that few comparisons find the cell of a number.
    """
    if not profile["n_rows"]:
        return UNCUT
    quantiles: list[float] = profile["edges"]
    tenths = tuple(edge for edge, (_, parts) in zip(quantiles, SHARES, strict=True) if parts == 10)
    n_rows, stddev = profile["n_rows"], profile["stddev"]
    if profile["n_distinct"] <= max(_MANY_VALUES, n_rows / _ROWS_PER_VALUE):
        return Pieces((), tenths, 0.0, stddev)
    bounds = [profile["lowest"], *quantiles, profile["highest"]]
    shares = [0.0, *(part / parts for part, parts in SHARES), 1.0]
    return Pieces(tuple(_pieces(bounds, shares, tenths, n_rows)), tenths, tenths[4], stddev)


def _pieces(bounds: Sequence[float], shares: Sequence[float], tenths: Sequence[float], n_rows: int) -> list[Piece]:
    def tenth(value: float) -> int:
        return 1 + sum(edge < value for edge in tenths)

    lowest, highest = bounds[0], bounds[-1]
    # A value that is a quantile twice stands alone: it would make one cell of a large part of the rows.
    alone = {value for value, n in Counter(bounds).items() if n > 1}
    found = [Piece(0, 1, lowest, lowest, 1, is_below=True)]
    if lowest in alone:
        found.append(Piece(1, 1, lowest, lowest, 0))
    for (low, before), (high, after) in itertools.pairwise(zip(bounds, shares, strict=True)):
        if low == high:
            continue
        index = len(found)
        n_cells = _n_cells((after - before) * n_rows, high - low)
        found.append(Piece(index, tenth(high), low, high, n_cells, is_below=high in alone))
        if high in alone:
            found.append(Piece(index + 1, tenth(high), high, high, 0))
    found.append(Piece(len(found), 10, highest, highest, 1))
    return found


def _n_cells(n_rows: float, width: float) -> int:
    n_cells = max(1, min(_MOST_CELLS, int(n_rows / _ROWS_PER_CELL)))
    # A width that overflows, or that is too small to divide by, is left whole.
    return n_cells if 0 < n_cells / width < math.inf else 1


def _written(value: float) -> str:
    """Return a double as a literal that reads back as the same 64 bits on every engine."""
    text = repr(value)
    text = text if "e" in text else f"{text}e0"
    return f"({text})" if value < 0 else text
