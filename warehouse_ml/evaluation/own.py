"""Metrics of the user's own: an expression over the counts of a slice, or over its rows."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from warehouse_ml.errors import DefinitionError, did_you_mean
from warehouse_ml.evaluation.names import BETTER, METRICS
from warehouse_ml.scalar_sql import columns_in, parse_scalar, qualified, without_comments

__all__ = ["COUNTS", "FOLDS", "OwnMetric", "own_metrics"]

FOLDS = 20
"""Groups of requests, each left out once, whose spread gives the interval of a metric over counts."""

_OF_ANY_TASK = ("n_requests", "n_labelled", "n")
COUNTS: Mapping[str, tuple[str, ...]] = {
    "binary": (
        *_OF_ANY_TASK,
        *("true_positives", "false_positives", "true_negatives", "false_negatives", "sum_score", "sum_label"),
    ),
    "multiclass": (*_OF_ANY_TASK, "n_correct"),
    "regression": (
        *_OF_ANY_TASK,
        *("sum_prediction", "sum_label", "sum_error", "sum_absolute_error", "sum_squared_error"),
    ),
}
"""What a metric over counts may use, by task: sums of weights over the rows with an answer and a prediction, but for
``n_requests`` and ``n_labelled``, which count."""

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_OVER = ("counts", "rows")
_SETTINGS = (*_OVER, "better", "low", "high")


@dataclass(frozen=True)
class OwnMetric:
    """A metric that an evaluation file defines.

    Parameters
    ----------
    name : str
        What ``wml.metrics`` calls it.
    over : {'counts', 'rows'}
        Whether the expression is of ``COUNTS``, or of the columns of the join, whose mean is the metric.
    expression : str
        In DuckDB's SQL.
    better : {'higher', 'lower'} or None
    low, high : float or None
        The ends of its range; an interval does not reach beyond.
    column : str
        What statements call it.
    """

    name: str
    over: Literal["counts", "rows"]
    expression: str
    better: str | None = None
    low: float | None = None
    high: float | None = None
    column: str = ""

    @property
    def columns(self) -> list[str]:
        """What the expression uses."""
        return columns_in(parse_scalar(self.expression))

    def sql(self, relation: str, engine: str) -> str:
        """Return the expression with its columns taken from a relation."""
        return qualified(parse_scalar(self.expression), relation).sql(dialect=engine)


def own_metrics(value: Any, task: str, place: str) -> tuple[OwnMetric, ...]:
    """Read the setting ``metrics``.

    Parameters
    ----------
    value : Any
        As the file gives it: settings by name, or None.
    task : str
    place : str
        The file, for errors.

    Raises
    ------
    DefinitionError
        If a setting is unknown, or an expression is none, or uses a count that is not there.
    """
    if value is None:
        return ()
    example = "metrics={'cost': {'counts': '5 * false_negatives + false_positives', 'better': 'lower', 'low': 0}}"
    if not isinstance(value, Mapping):
        raise DefinitionError(f"metrics is {value!r}", place=place, hint=f"name each of them: {example}")
    found: list[OwnMetric] = []
    for name, settings in value.items():
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise DefinitionError(f"a metric is called {name!r}", place=place, hint="use lower case letters, digits, _")
        if name in METRICS[task]:
            raise DefinitionError(
                f'there is a metric "{name}" already', place=place, hint=f"call it another way, such as own_{name}"
            )
        if not isinstance(settings, Mapping):
            raise DefinitionError(f'the metric "{name}" is {settings!r}', place=place, hint=f"write {example}")
        found.append(replace(_metric(name, settings, task, place), column=f"own_{len(found)}"))
    return tuple(found)


def _metric(name: str, settings: Mapping[str, Any], task: str, place: str) -> OwnMetric:
    for key in settings:
        if key not in _SETTINGS:
            raise DefinitionError(
                f'the metric "{name}" has no setting "{key}"',
                place=place,
                has=_SETTINGS,
                hint=did_you_mean(str(key), _SETTINGS),
            )
    over = [key for key in _OVER if key in settings]
    if len(over) != 1:
        raise DefinitionError(
            f'the metric "{name}" needs an expression, over counts or over rows',
            place=place,
            has=_OVER,
            hint="give one of the two",
        )
    expression = _expression(name, over[0], settings[over[0]], task, place)
    better = settings.get("better")
    if better is not None and better not in BETTER:
        raise DefinitionError(f'better of the metric "{name}" is {better!r}', place=place, has=tuple(BETTER))
    low, high = (_end(name, key, settings.get(key), place) for key in ("low", "high"))
    if low is not None and high is not None and low >= high:
        raise DefinitionError(f'the range of the metric "{name}" is empty: {low:g} to {high:g}', place=place)
    return OwnMetric(name, "counts" if over[0] == "counts" else "rows", expression, better, low, high)


def _expression(name: str, over: str, value: Any, task: str, place: str) -> str:
    try:
        tree = without_comments(parse_scalar(str(value)))
    except ValueError as error:
        raise DefinitionError(
            f'the metric "{name}" is no expression: {error}',
            place=place,
            hint="write one in SQL, without a query or an aggregate; a macro may give its text",
        ) from None
    used = columns_in(tree)
    if over == "counts":
        for column in used:
            if column not in COUNTS[task]:
                raise DefinitionError(
                    f'the metric "{name}" uses "{column}", which is no count of a {task} task',
                    place=place,
                    has=COUNTS[task],
                    hint=did_you_mean(column, COUNTS[task]) or "give it over rows, if it is a column of the query",
                )
    if not used:
        raise DefinitionError(f'the metric "{name}" is {str(value)!r}, which is the same for every slice', place=place)
    return tree.sql(dialect="duckdb")


def _end(name: str, key: str, value: Any, place: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise DefinitionError(f'{key} of the metric "{name}" is {value!r}', place=place, hint="give a number")
    return float(value)
