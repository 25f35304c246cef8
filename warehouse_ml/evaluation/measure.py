"""The metrics of any scored rows, over everything, without a window, a slice or a row written."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

from warehouse_ml.evaluation.join import join_columns
from warehouse_ml.evaluation.run import SCRATCH, refuse_bad_rows, run_measures
from warehouse_ml.evaluation.spec import EvaluationSpec
from warehouse_ml.evaluation.steps import Steps
from warehouse_ml.warehouses.base import Warehouse

__all__ = ["Measured", "measure", "measured"]

# After every request, so that no row is left out.
_END = dt.datetime(9999, 1, 1, tzinfo=dt.UTC)


@dataclass(frozen=True)
class Measured:
    """A metric with its interval at 95 %, and the rows with an answer and a prediction behind it."""

    value: float | None
    ci_lower: float | None
    ci_upper: float | None
    ci_method: str | None
    n: int


def measure(
    warehouse: Warehouse, query: str, *, task: str, threshold: float = 0.5, place: str = "query"
) -> Mapping[str, float | None]:
    """Return the values of what ``measured`` gives, by name."""
    found = measured(warehouse, query, task=task, threshold=threshold, place=place)
    return {name: metric.value for name, metric in found.items()}


def measured(
    warehouse: Warehouse, query: str, *, task: str, threshold: float = 0.5, place: str = "query"
) -> Mapping[str, Measured]:
    """Return the metrics of a query's rows, by name.

    Parameters
    ----------
    warehouse : Warehouse
    query : str
        As the query of an evaluation: request_id, requested_at, score or prediction, label.
    task : str
        binary, multiclass or regression.
    threshold : float
        In [0, 1]; a binary score at or above it is a positive.
    place : str
        For errors.

    Returns
    -------
    mapping of metric to Measured
        Its value is None where a metric cannot be computed; empty if the query has no rows.

    Raises
    ------
    DataError
        If a column is missing or a row cannot be evaluated.
    """
    spec = EvaluationSpec.from_config("", {"task": task, "threshold": threshold}, place=place, definition_hash="")
    columns = join_columns(warehouse, spec, query)
    steps = Steps(warehouse, spec, columns, _END)
    with warehouse.transaction():
        steps.run("rows.sql", join_sql=query)
        steps.run("due.sql", restate=True)
        due = steps.fetch("due_list.sql")
        if due:
            refuse_bad_rows(spec, steps.fetch("bad_rows.sql"))
            run_measures(steps, spec, columns)
        rows = steps.fetch("overall.sql") if due else []
        steps.drop(SCRATCH)
    return {
        row["metric"]: Measured(row["value"], row["ci_lower"], row["ci_upper"], row["ci_method"], row["n"])
        for row in rows
    }
