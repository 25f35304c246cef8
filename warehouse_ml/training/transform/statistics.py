"""Statistics of the training rows: all that one pass asks for, in two statements."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlglot import exp

from warehouse_ml.templates import statement
from warehouse_ml.training.preprocessing import LARGEST_SQUARE, rounded, significant
from warehouse_ml.warehouses.base import Relation, Warehouse

__all__ = ["Frequencies", "Numbers", "Statistics"]


@dataclass(frozen=True)
class Numbers:
    """Statistics of a number.

    Parameters
    ----------
    n : int
        Training rows with a value; where it is 0 the others say nothing.
    mean, stddev : float
        Population standard deviation, exactly 0 where all values are equal. Rounded to twelve digits, because the
        last ones depend on the order in which threads finish.
    low, high : float
        The least and the largest value.
    quantiles : mapping of (i, n) to float
        The value at each share i / n that was asked for.
    """

    n: int
    mean: float
    stddev: float
    low: float
    high: float
    quantiles: dict[tuple[int, int], float]


@dataclass(frozen=True)
class Frequencies:
    """The categories of a text or list.

    Parameters
    ----------
    categories : tuple of str
        Those wanted, the most frequent first, of equal ones the first by code point.
    n_dropped, n_dropped_rows : int
        Categories that are not wanted, and how many training rows have them.
    """

    categories: tuple[str, ...]
    n_dropped: int
    n_dropped_rows: int


class Statistics:
    """Collects what is asked for, computes it, and answers.

    Parameters
    ----------
    warehouse : Warehouse
    relation : Relation
    split_column : str
        Where it says ``train`` a row counts.
    """

    def __init__(self, warehouse: Warehouse, relation: Relation, split_column: str) -> None:
        self._warehouse = warehouse
        self._context = {"relation": relation, "split": split_column}
        self._shares: dict[str, set[tuple[int, int]]] = {}
        self._aggregates: dict[str, exp.Expr] = {}
        self._asked: dict[tuple[str, bool, int, int], None] = {}
        self._numbers: dict[str, Numbers] = {}
        self._constants: dict[str, exp.Expr] = {}
        self._frequencies: dict[tuple[str, bool, int, int], Frequencies] = {}

    def ask_number(self, value: exp.Expr, shares: Sequence[tuple[int, int]] = ()) -> None:
        """Ask for the statistics of a number, with its quantiles at some shares of the rows."""
        self._shares.setdefault(self._sql(value), set()).update(shares)

    def ask_aggregate(self, aggregate: exp.Expr) -> None:
        """Ask for the value of an aggregate."""
        self._aggregates[self._sql(aggregate)] = aggregate

    def ask_frequencies(self, value: exp.Expr, most: int, fewest: int, *, is_list: bool = False) -> None:
        """Ask for the most frequent values, of those that have a number of rows at least."""
        self._asked[self._sql(value), is_list, most, fewest] = None

    def run(self) -> None:
        """Compute what was asked for: at most two statements."""
        if self._shares or self._aggregates:
            self._run_statistics()
        if self._asked:
            self._run_frequencies()

    def number(self, value: exp.Expr) -> Numbers:
        """Return the statistics of a number."""
        return self._numbers[self._sql(value)]

    def aggregate(self, aggregate: exp.Expr) -> exp.Expr:
        """Return the value of an aggregate as a literal of its type."""
        return self._constants[self._sql(aggregate)].copy()

    def frequencies(self, value: exp.Expr, most: int, fewest: int, *, is_list: bool = False) -> Frequencies:
        """Return the most frequent values."""
        return self._frequencies[self._sql(value), is_list, most, fewest]

    def _sql(self, node: exp.Expr) -> str:
        return node.sql(dialect=self._warehouse.engine)

    def _run_statistics(self) -> None:
        values = list(self._shares)
        shares = [sorted(self._shares[value], key=lambda share: share[0] / share[1]) for value in values]
        aggregates = {f"aggregate_{index}": value for index, value in enumerate(self._aggregates)}
        sql = statement(
            __package__,
            "statistics.sql",
            self._warehouse.engine,
            numbers=[
                {"value": value, "name": f"wml_value_{index}", "shares": shares[index]}
                for index, value in enumerate(values)
            ],
            aggregates=aggregates,
            largest=LARGEST_SQUARE,
            **self._context,
        )
        row = self._warehouse.fetch(sql).to_pylist()[0]
        for index, value in enumerate(values):
            self._numbers[value] = _numbers(row, index, shares[index])
        types = self._warehouse.columns(sql) if aggregates else {}
        for name, value in aggregates.items():
            self._constants[value] = _constant(row[name], types[name], self._aggregates[value], self._warehouse.engine)

    def _run_frequencies(self) -> None:
        asked = list(self._asked)
        values = [
            {"value": value, "is_list": is_list, "most": most, "fewest": fewest}
            for value, is_list, most, fewest in asked
        ]
        sql = statement(__package__, "frequencies.sql", self._warehouse.engine, values=values, **self._context)
        rows = self._warehouse.fetch(sql).to_pylist()
        for index, key in enumerate(asked):
            own = [row for row in rows if row["value"] == index]
            dropped = [row for row in own if row["category"] is None]
            self._frequencies[key] = Frequencies(
                tuple(row["category"] for row in own if row["category"] is not None),
                sum(row["n_categories"] for row in dropped),
                sum(row["n_rows"] for row in dropped),
            )


def _numbers(row: dict[str, Any], index: int, shares: list[tuple[int, int]]) -> Numbers:
    n, low, high = row[f"n_{index}"], row[f"min_{index}"], row[f"max_{index}"]
    if not n:
        return Numbers(0, 0.0, 0.0, 0.0, 0.0, {})
    quantiles = dict(zip(shares, row[f"quantiles_{index}"], strict=True)) if shares else {}
    mean, stddev = row[f"mean_{index}"], row[f"stddev_{index}"]
    if low == high or mean is None or not stddev:
        return Numbers(n, low, 0.0, low, high, quantiles)
    mean, stddev = rounded(mean, stddev)
    return Numbers(n, mean, stddev, low, high, quantiles)


def _constant(value: Any, type_name: str, aggregate: exp.Expr, engine: str) -> exp.Expr:
    """Return a literal of the aggregate's own type."""
    is_exact = aggregate.find(exp.Avg, exp.Sum, exp.Corr, exp.Stddev, exp.StddevPop, exp.StddevSamp) is None
    is_exact = is_exact and aggregate.find(exp.Variance, exp.VariancePop) is None
    kind = exp.DataType.build(type_name, dialect=engine)
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return exp.cast(exp.Null() if value is None else exp.Literal.string(str(value)), kind)
    if isinstance(value, float):
        digits = repr(value if is_exact else significant(value))
        return exp.cast(exp.Literal.string(digits), kind)
    return exp.cast(exp.Literal.string(str(value)), kind)
