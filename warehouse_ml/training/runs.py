"""What is kept of a training, however it ends: its row of ``wml.training_runs``, its trials, its held-out metrics."""

from __future__ import annotations

import datetime as dt
import json
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from warehouse_ml.definition import ModelDefinition
from warehouse_ml.evaluation import Measured
from warehouse_ml.evaluation.names import BETTER
from warehouse_ml.tables import one_row, run_file
from warehouse_ml.templates import statement
from warehouse_ml.training.rows import SPLIT, TRAINING_ROWS, RowSummary
from warehouse_ml.training.trials import Trial, mark_optimal, record_trial
from warehouse_ml.warehouses.base import Relation, Warehouse

__all__ = ["FAILED", "FINISHED", "RUNNING", "TRIED", "HeldOut", "RunLog", "comparable_group"]

RUNNING, FINISHED, TRIED, FAILED = "running", "finished", "tried", "failed"
_METRICS = Relation("_wml_held_out_metrics")
_KILLED = "killed: the process ended before it could say why"


@dataclass(frozen=True)
class HeldOut:
    """The metrics on rows held out, and the name of those rows.

    Parameters
    ----------
    task, label : str
    group : str
        As of ``comparable_group``.
    metrics : mapping of str to Measured
        Empty if no rows were held out.
    """

    task: str
    label: str
    group: str
    metrics: Mapping[str, Measured]


class RunLog:
    """The rows of one run.

    Parameters
    ----------
    warehouse : Warehouse
    model : str
    as_of : datetime
    """

    def __init__(self, warehouse: Warehouse, model: str, as_of: dt.datetime) -> None:
        self._warehouse = warehouse
        self._began = time.perf_counter()
        self._run = {"run_id": uuid.uuid4().hex, "model": model, "as_of": as_of, "started_at": dt.datetime.now(dt.UTC)}
        self._known: dict[str, Any] = {"n_rows": None, "definition_hash": None, "data_hash": None}
        self._options: Mapping[str, Any] = {}

    @property
    def run_id(self) -> str:
        """The run's identifier."""
        return str(self._run["run_id"])

    @property
    def seconds(self) -> float:
        """How long it has been going on."""
        return time.perf_counter() - self._began

    def learned(self, *, options: Mapping[str, Any] | None = None, **known: Any) -> None:
        """Keep what has become known: ``options``, ``definition_hash``, ``data_hash``, ``n_rows``."""
        self._options = self._options if options is None else options
        self._known.update(known)

    def begin(self) -> None:
        """Write down that the run is going on, so that one that is killed is known as well.

        A warehouse has one writer: runs of the model that are still said to go on were killed.
        """
        with self._warehouse.transaction():
            killed = {"model": self._run["model"], "running": RUNNING, "failed": FAILED, "error": _KILLED}
            run_file(self._warehouse, __package__, "end_killed_runs.sql", killed)
            self._write(RUNNING, None, None, {})

    def add(self, trial: Trial, search: str) -> None:
        """Write down a trial that has ended."""
        record_trial(self._warehouse, self._run, search, trial)

    def end(
        self,
        status: str,
        error: str | None = None,
        *,
        version: int | None = None,
        metrics: Mapping[str, float | None] | None = None,
        held_out: HeldOut | None = None,
        optimal_trial: int | None = None,
    ) -> None:
        """Write down how the run ended."""
        with self._warehouse.transaction():
            self._write(status, error, version, metrics or {})
            if optimal_trial is not None:
                mark_optimal(self._warehouse, self.run_id, optimal_trial)
            if held_out is not None and held_out.metrics:
                self._write_held_out(held_out, version)

    def _write(self, status: str, error: str | None, version: int | None, metrics: Mapping[str, float | None]) -> None:
        run_file(
            self._warehouse,
            __package__,
            "record_run.sql",
            {
                **self._run,
                **self._known,
                "status": status,
                "error": error,
                "version": version,
                "duration_seconds": None if status == RUNNING else self.seconds,
                "options": json.dumps(dict(self._options), sort_keys=True, default=str),
                "metrics": json.dumps(dict(metrics), sort_keys=True),
            },
        )

    def _write_held_out(self, held_out: HeldOut, version: int | None) -> None:
        import pyarrow as pa

        better = {name: way for way, names in BETTER.items() for name in names}
        text, number, whole = pa.string(), pa.float64(), pa.int64()
        types = {"metric": text, "value": number, "ci_lower": number, "ci_upper": number, "ci_method": text, "n": whole}
        rows = [
            {
                **{key: getattr(metric, key) for key in types if key != "metric"},
                "metric": name,
                "better": better.get(name.partition("[")[0], "higher" if "[" in name else None),
            }
            for name, metric in held_out.metrics.items()
        ]
        table = pa.Table.from_pylist(rows, schema=pa.schema([*types.items(), ("better", text)]))
        self._warehouse.load(_METRICS, table, temporary=True)
        parameters = {
            **{key: self._run[key] for key in ("run_id", "model", "as_of")},
            "version": version,
            "task": held_out.task,
            "label": held_out.label,
            "comparable_group": held_out.group,
        }
        run_file(self._warehouse, __package__, "record_held_out.sql", parameters, metrics=_METRICS)


def comparable_group(warehouse: Warehouse, definition: ModelDefinition, rows: RowSummary, task: str, side: str) -> str:
    """Return a hash that two trainings share if they were measured on the same rows held out.

    In a sequential split these are the latest rows whatever the features are: they are the same if label, split column
    and weight are, row for row. Every other split hangs on the whole row, so all training rows must be the same.

    Parameters
    ----------
    warehouse : Warehouse
        With ``TRAINING_ROWS``.
    definition : ModelDefinition
    rows : RowSummary
    task : str
    side : str
        ``eval`` or ``test``, whichever was measured.
    """
    split = definition.split
    columns = [name for name in (definition.label, split.column, definition.weight_column) if name]
    sql = statement(
        __package__,
        "comparable_group.sql",
        warehouse.engine,
        relation=TRAINING_ROWS,
        split=SPLIT,
        columns=columns,
        is_hashed=split.method == "SEQ",
        told=[task, definition.label.lower()]
        + ([] if split.method == "SEQ" else [rows.data_hash, side, split.method, repr(split)]),
    )
    return str(one_row(warehouse, sql, {"side": side})["comparable_group"])
