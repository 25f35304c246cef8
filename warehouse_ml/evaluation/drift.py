"""Drift: how far the inputs, predictions and labels of a window are from those of training, or of the window before.

The numbers have one definition, in ``write_drift.sql``, and two ways to it. Where few rows are asked about, every value
of both sides is counted and all of them stand in one order (``drift_listed``). Else numbers of many values are counted
in cells, and few of them are ever put in order (``drift_cells``).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from warehouse_ml.evaluation.drift_cells import Cells
from warehouse_ml.evaluation.drift_inputs import LABEL, PREDICTION, DriftInput, Reading, drift_columns, window_before
from warehouse_ml.evaluation.drift_listed import Listed
from warehouse_ml.evaluation.join import JoinColumns
from warehouse_ml.evaluation.spec import EvaluationSpec
from warehouse_ml.warehouses.base import Warehouse

__all__ = ["LABEL", "PREDICTION", "DriftInput", "window_before", "write_drift"]

_MOST_LISTED_REQUESTS = 50_000


def write_drift(
    warehouse: Warehouse,
    spec: EvaluationSpec,
    inputs: Sequence[DriftInput],
    due: Sequence[Mapping[str, Any]],
    as_of: dt.datetime,
    joined: JoinColumns,
) -> None:
    """Write the drift of every input, of predictions and of labels in every due window.

    A few statements for each version; with ``drift_reference='previous'``, for each window.

    Raises
    ------
    DefinitionError
        If a column is said to be neither numeric nor categorical.
    """
    versions = {row["version"] for row in due}
    wanted = [drift for drift in inputs if drift.version in versions and drift.columns]
    steps: dict[type[Listed | Cells], Any] = {}
    # Versions that were trained on the same rows stand together, so that these are read once.
    for drift in sorted(wanted, key=lambda drift: (drift.reference_sql, drift.version or 0)):
        columns = drift_columns(spec, drift, joined)
        own = [row for row in due if row["version"] == drift.version]
        for rows in [[row] for row in own] if spec.drift_reference == "previous" else [own]:
            for way in _ways(rows):
                step = way(Reading(warehouse, spec, drift, columns, as_of, is_listed=way is Listed), steps.get(way))
                steps[way] = step
                if spec.drift_reference == "training":
                    if step.profile(len(rows)):
                        step.compare(rows)
                        break
                elif rows[0]["window_start"] is None or step.compare_with_the_window_before(rows[0]):
                    break
    for step in steps.values():
        step.drop()


def _ways(due: Sequence[Mapping[str, Any]]) -> list[type[Listed | Cells]]:
    """Return the ways to compare windows, the first that can do it to be taken."""
    is_little = (
        all("n_requests" in row for row in due) and sum(row["n_requests"] for row in due) <= _MOST_LISTED_REQUESTS
    )
    return [Listed, Cells] if is_little else [Cells]
