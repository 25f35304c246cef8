"""Answers that came after their window was closed: late ones and corrected ones."""

from __future__ import annotations

import datetime as dt

from warehouse_ml.evaluation.spec import EvaluationSpec
from warehouse_ml.tables import one_row
from warehouse_ml.templates import statement
from warehouse_ml.warehouses.base import Warehouse

__all__ = ["reopened_since"]


def reopened_since(
    warehouse: Warehouse, spec: EvaluationSpec, join_sql: str, since: dt.datetime | None, as_of: dt.datetime
) -> dt.datetime | None:
    """Return where to read from, so that windows whose labels changed after they were closed are read again.

    Parameters
    ----------
    warehouse : Warehouse
    spec : EvaluationSpec
    join_sql : str
        The rendered query of the evaluation file.
    since : datetime or None
        The start of the first window that is open; None if everything is.
    as_of : datetime
        Labels known later are unknown.

    Returns
    -------
    datetime or None
        ``since``, or the start of an earlier window with a label that became known after the evaluation last wrote
        something. Without label_known_at nothing tells of such a label.
    """
    join_sql = join_sql.strip().rstrip(";")
    if since is None or "label_known_at" not in warehouse.columns(join_sql):
        return since
    sql = statement(__package__, "late_labels.sql", warehouse.engine, join_sql=join_sql, window=spec.window)
    found = one_row(warehouse, sql, {"evaluation": spec.name, "since": since, "as_of": as_of})
    reopened: dt.datetime | None = found["window_start"]
    return min(since, reopened) if reopened else since
