"""The pieces that a reference column's range is cut into, and the cells within them."""

from __future__ import annotations

import itertools
import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["SHARES", "UNCUT", "Piece", "Pieces", "cut"]

SHARES = ((1, 100), (1, 20), *((tenth, 10) for tenth in range(1, 10)), (19, 20), (99, 100))
"""The quantiles of a reference column that are known: its tenths, and some of the tails."""

_ROWS_PER_CELL = 50
_FEWEST_CELLS, _MOST_CELLS = 200, 30_000
# A column of fewer values than this, or of fewer than a twentieth of its rows, is counted value by value.
_MANY_VALUES = 5000
_ROWS_PER_VALUE = 20
# How many times more rows a cell may hold, for the average row, than if all cells held as many.
_MOST_UNEVEN = 3.0
# What keeps the last cell of all within its number: cells above a value are counted from here on.
_ROUND = 0.999


@dataclass(frozen=True)
class Piece:
    """An interval of a column's range, above the pieces before it.

    Parameters
    ----------
    form : {'below', 'between', 'above', 'value'}
        Whether it has no lower end, two ends, no upper end, or is a single value. Cells between two ends are equally
        wide; from one end on they become wider, so that there is no last.
    index, first_cell : int
        In the order of the numbers.
    start : float
        The end that cells are counted from, in the column's own unit: the lower, or the only one.
    end : float or None
        The upper end, if there is one.
    n_cells : int
        The cells are numbered from ``first_cell`` to ``first_cell + n_cells``.
    width : float or None
        Of a cell; where cells widen, the distance from ``start`` within which half of them lie.
    is_open : bool
        Whether the upper end itself belongs to the next piece.
    """

    form: str
    index: int
    first_cell: int
    start: float
    end: float | None
    n_cells: int = 0
    width: float | None = None
    is_open: bool = False

    @property
    def scale(self) -> float | None:
        """Cells to a unit of the column; None where all numbers share one cell."""
        scale = 1 / self.width if self.width and self.n_cells else math.inf
        return scale if 0 < scale < math.inf else None

    @property
    def written(self) -> dict[str, Any]:
        """What ``drift_rows.sql`` writes to place a number."""
        return {
            "form": self.form,
            "comparison": "<" if self.is_open else "<=",
            "end": None if self.end is None else _written(self.end),
            "first_cell": _written(float(self.first_cell)),
            "start": _written(self.start),
            "n_cells": _written(float(self.n_cells)),
            "last": _written(self.first_cell + self.n_cells + _ROUND),
            "scale": None if self.scale is None else _written(self.scale),
        }

    def cell(self, value: float) -> int:
        """Return the cell of a value of this piece, by the steps in which ``drift_rows.sql`` takes it."""
        scale = self.scale
        if scale is None:
            return self.first_cell
        if self.form == "below":
            return math.floor(self.first_cell + self.n_cells / (1 + (self.start - value) * scale))
        if self.form == "above":
            last = self.first_cell + self.n_cells + _ROUND
            return math.floor(last - self.n_cells / (1 + (value - self.start) * scale))
        return math.floor(self.first_cell + (value - self.start) * scale)


@dataclass(frozen=True)
class Pieces:
    """How the numbers of one reference column are counted.

    Parameters
    ----------
    pieces : sequence of Piece
        In order; empty where values are counted one by one.
    edges : sequence of float
        The values that one to nine tenths of the reference rows do not exceed; empty without a number.
    stddev : float or None
        Of the reference, dividing by n.
    """

    pieces: tuple[Piece, ...]
    edges: tuple[float, ...]
    stddev: float | None

    @property
    def origin(self) -> float:
        """What is taken off numbers before they are added up."""
        return self.edges[4] if self.edges else 0.0

    @property
    def written(self) -> dict[str, Any]:
        """What the statements are told of the column."""
        return {
            "pieces": [piece.written for piece in self.pieces],
            "edges": [_written(edge) for edge in self.edges],
            "origin": _written(self.origin),
        }

    def piece_rows(self, column: int) -> list[dict[str, Any]]:
        """Return the rows of ``wml_drift_pieces``."""
        told = {"input": column, "origin": self.origin}
        if not self.pieces:
            return [{**told, "piece": tenth, "tenth": tenth} for tenth in range(1, 11)]
        return [
            {
                **told,
                "piece": piece.index,
                "form": piece.form,
                "first_cell": float(piece.first_cell),
                "n_cells": float(piece.n_cells),
                "start": piece.start,
                "width": piece.width,
            }
            for piece in self.pieces
        ]

    def edge_rows(self, column: int) -> list[dict[str, Any]]:
        """Return the rows of ``wml_drift_edges``: of a column whose numbers stand in cells, where its tenths end."""
        return [
            {"input": column, "tenth": tenth, "edge": edge, "cell": self.cell(edge)}
            for tenth, edge in enumerate(self.edges, start=1)
            if self.pieces
        ]

    def cell(self, value: float) -> int:
        """Return the cell of a value."""
        above = (
            piece.end is None or value < piece.end or (value == piece.end and not piece.is_open)
            for piece in self.pieces
        )
        return next(piece for piece, is_there in zip(self.pieces, above, strict=True) if is_there).cell(value)


UNCUT = Pieces((), (), None)
"""Of a column without a number."""


def cut(profile: Mapping[str, Any]) -> Pieces:
    """Return how the numbers of a column are counted, from its row of ``drift_quantiles.sql``.

    Where many values are alike, each is counted; else cells of about fifty reference rows are. A number's cell is found
    by two comparisons at best: below and above the median cells widen with the distance from it. Where that would put
    too many rows into some of them, each tenth has cells of its own.
    """
    if not profile["n_rows"]:
        return UNCUT
    known: list[float] = profile["edges"]
    edges = tuple(value for value, (_, parts) in zip(known, SHARES, strict=True) if parts == 10)
    n_rows, stddev = profile["n_rows"], profile["stddev"]
    if profile["n_distinct"] <= max(_MANY_VALUES, n_rows / _ROWS_PER_VALUE):
        return Pieces((), edges, stddev)
    values = [profile["lowest"], *known, profile["highest"]]
    shares = [0.0, *(part / parts for part, parts in SHARES), 1.0]
    quantiles = _Quantiles(values, shares, n_cells=max(_FEWEST_CELLS, min(_MOST_CELLS, n_rows // _ROWS_PER_CELL)))
    # A value that is a quantile twice stands alone: it would make one cell of a large part of the rows.
    alone = {value for value, n in Counter(values).items() if n > 1}
    few = sorted(alone) if len(alone) == 1 else [edges[4], *alone]
    for ends in (few, [edges[1], edges[4], edges[7], *alone], [*edges, *alone]):
        pieces = tuple(_pieces(quantiles, sorted({*ends}), alone))
        if quantiles.unevenness(pieces) <= _MOST_UNEVEN:
            break
    return Pieces(pieces, edges, stddev)


@dataclass(frozen=True)
class _Quantiles:
    """Values of a column, in order, and the shares of its rows that do not exceed them."""

    values: Sequence[float]
    shares: Sequence[float]
    n_cells: int

    def share(self, value: float, *, is_below: bool = False) -> float:
        """Return the share of rows up to one of the values, or about that below it."""
        found = [share for at, share in zip(self.values, self.shares, strict=True) if at == value]
        return min(found) if is_below else max(found)

    def value(self, share: float) -> float:
        """Return a value that about this share of the rows does not exceed."""
        after = max(1, bisect_left(self.shares, share))
        low, high = self.shares[after - 1], self.shares[after]
        part = (share - low) / (high - low)
        return self.values[after - 1] * (1 - part) + self.values[after] * part

    def unevenness(self, pieces: Sequence[Piece]) -> float:
        """Return how many times more rows the cell of a row holds, on average, than if all cells held as many."""
        column = Pieces(tuple(pieces), (), None)
        found = 0.0
        alone = {piece.start for piece in pieces if piece.form == "value"}
        pairs = itertools.pairwise(zip(self.values, self.shares, strict=True))
        for (low, before), (high, after) in pairs:
            # Below a value that stands alone, most of these rows are of that value.
            if low < high and high not in alone:
                n_cells = max(1, column.cell(high) - column.cell(low))
                found += (after - before) ** 2 / n_cells
        return found * self.n_cells


def _pieces(quantiles: _Quantiles, ends: Sequence[float], alone: set[float]) -> Iterator[Piece]:
    """Yield the pieces between some of the quantiles."""
    index = cell = 0

    def piece(form: str, start: float, end: float | None, share: float, width: float | None) -> Piece:
        nonlocal index, cell
        n_cells = max(1, int(quantiles.n_cells * share)) if width else 0
        if width and form == "between":
            # A width that overflows, or that is too small to divide by, is left whole.
            n_cells = n_cells if 0 < n_cells / width < math.inf else 1
            width /= n_cells
        is_open = form != "value" and end in alone
        made = Piece(form, index, cell, start, end, n_cells, width, is_open)
        index, cell = index + 1, cell + n_cells + 1
        return made

    before, share = None, 0.0
    for end in ends:
        reached = quantiles.share(end, is_below=end in alone)
        if before is None:
            half = end - quantiles.value(reached / 2)
            yield piece("below", end, end, reached, _distance(half, end - quantiles.values[0]))
        else:
            yield piece("between", before, end, reached - share, end - before)
        if end in alone:
            yield piece("value", end, end, 0.0, None)
        before, share = end, quantiles.share(end)
    last = ends[-1]
    half = quantiles.value((1 + share) / 2) - last
    yield piece("above", last, None, 1 - share, _distance(half, quantiles.values[-1] - last))


def _distance(half: float, whole: float) -> float:
    """Return the distance of the row in the middle, or that of the last where the former is none."""
    return half if half > 0 else whole


def _written(value: float) -> str:
    """Return a double as a literal that reads back as the same 64 bits on every engine."""
    text = repr(value)
    text = text if "e" in text else f"{text}e0"
    return f"({text})" if value < 0 else text
