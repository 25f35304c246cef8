"""What drift is told of a version's inputs and outputs, and the queries that read both sides of them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from warehouse_ml.errors import DefinitionError, did_you_mean
from warehouse_ml.evaluation.join import JoinColumns
from warehouse_ml.evaluation.spec import EvaluationSpec
from warehouse_ml.templates import statement
from warehouse_ml.warehouses.base import Relation, Warehouse

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "INPUTS",
    "LABEL",
    "OUTPUTS",
    "PREDICTION",
    "DriftInput",
    "Reading",
    "Rows",
    "drift_columns",
    "window_before",
]

PREDICTION, LABEL = "(prediction)", "(label)"
"""What the outputs are called among the inputs."""

INPUTS, OUTPUTS = "inputs", "outputs"
_SCORES = "wml_drift_scores"
_KINDS = ("numeric", "categorical")


@dataclass(frozen=True)
class DriftInput:
    """What one version was trained on, and what it is asked now.

    Parameters
    ----------
    version : int or None
        Whose windows the current rows belong to.
    reference_sql : str
        The training rows.
    current_sql : str
        The logged rows of this version: ``requested_at`` and the same inputs.
    columns : mapping of str to {'numeric', 'categorical'}
        The inputs to compare.
    reference_hash : str, optional
        Names the content of the reference rows; with it their profile is kept for the next evaluation in this process.
    importances : mapping of str to float
        The share of an input in the importance of them all, in [0, 1], where it is known.
    label : str, optional
        The column of ``reference_sql`` that holds the label as the evaluation has it: 0 or 1, a number, or text.
    scores : callable, optional
        Returns what the version predicts for rows that it was not trained on, as an array of shape (n,): scores, or
        the predicted class of a multiclass model. Called only where it is needed.
    """

    version: int | None
    reference_sql: str
    current_sql: str
    columns: Mapping[str, str]
    reference_hash: str | None = None
    importances: Mapping[str, float] = field(default_factory=dict)
    label: str | None = None
    scores: Callable[[], pa.Array] | None = None


def window_before(start: dt.datetime, window: str) -> dt.datetime:
    """Return where the window before the one that ``start`` falls in begins, in UTC; weeks begin on Monday."""
    start = start.astimezone(dt.UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if window == "month":
        return (start.replace(day=1) - dt.timedelta(days=1)).replace(day=1)
    if window == "week":
        return start - dt.timedelta(days=start.weekday() + 7)
    return start - dt.timedelta(days=1)


def drift_columns(spec: EvaluationSpec, drift: DriftInput, joined: JoinColumns) -> list[dict[str, Any]]:
    """Return what is compared, in order: inputs, predictions and labels, each with its kind and its place."""
    for name, kind in drift.columns.items():
        if kind not in _KINDS:
            raise DefinitionError(
                f'the kind of the input "{name}" is {kind!r}',
                place=spec.place,
                has=_KINDS,
                hint=did_you_mean(str(kind), _KINDS),
            )
    columns: list[dict[str, Any]] = [
        {
            "name": name,
            "kind": kind,
            "part": "input",
            "importance": drift.importances.get(name),
        }
        for name, kind in drift.columns.items()
    ]
    is_previous = spec.drift_reference == "previous"
    output: dict[str, Any] = {"importance": None, "kind": "numeric" if spec.task == "regression" else "categorical"}
    if is_previous or (drift.scores is not None and (joined.has_score or spec.task != "binary")):
        has_number = joined.has_score or spec.task == "regression"
        columns.append(
            {
                **output,
                "name": PREDICTION,
                "kind": "numeric" if has_number else "categorical",
                "part": "prediction",
                "source": "score" if has_number else "prediction",
            }
        )
    if is_previous or drift.label is not None:
        columns.append({**output, "name": LABEL, "part": "label", "source": "label"})
    return [{**column, "index": index, "column": f"input_{index}"} for index, column in enumerate(columns)]


@dataclass(frozen=True)
class Rows:
    """Rows of one side that are read together: their columns, the query and its parameters."""

    name: str
    columns: Sequence[Mapping[str, Any]]
    sql: str
    parameters: Mapping[str, Any] = field(default_factory=dict)


class Reading:
    """The queries that read both sides of one version's rows, and what their statements share."""

    def __init__(
        self,
        warehouse: Warehouse,
        spec: EvaluationSpec,
        drift: DriftInput,
        columns: Sequence[Mapping[str, Any]],
        as_of: dt.datetime,
        *,
        is_listed: bool = False,
    ) -> None:
        self.warehouse, self.spec, self.drift, self.as_of = warehouse, spec, drift, as_of
        self.columns = columns
        self.inputs = [column for column in columns if column["part"] == "input"]
        self.outputs = [column for column in columns if column["part"] != "input"]
        self.names: dict[str, Any] = {
            "task": spec.task,
            "window": spec.window,
            "is_previous": spec.drift_reference == "previous",
            "is_listed": is_listed,
        }

    def trained_on(self) -> Rows:
        """Return the training rows."""
        asked = list(self.inputs)
        if self.drift.label is not None:
            asked += [{**column, "name": self.drift.label} for column in self.outputs if column["part"] == "label"]
        return Rows(INPUTS, asked, self.source("asked", asked, rows_sql=self.drift.reference_sql))

    @property
    def key(self) -> tuple[Any, ...]:
        """What two versions share whose reference is the same rows, of the same columns."""
        return (self.drift.reference_sql, *(tuple(column.values()) for column in self.columns))

    def training(self) -> list[Rows]:
        """Return the training rows, and what the version predicts for those held out."""
        groups = [self.trained_on()]
        scored = [column for column in self.outputs if column["part"] == "prediction"]
        if scored and self.drift.scores is not None:
            self._load_scores(self.drift.scores())
            groups.append(Rows(OUTPUTS, scored, self.source("scores", scored)))
        return groups

    def requests(self, due: Sequence[Mapping[str, Any]]) -> list[Rows]:
        """Return the logged rows of the due windows, and those of the evaluation's join."""
        parameters = {"version": self.drift.version, "as_of": self.as_of}
        if self.names["is_previous"]:
            parameters["unit"] = due[0]["unit"]
        return self._requested(parameters, is_current=True)

    def requests_before(self, row: Mapping[str, Any]) -> list[Rows]:
        """Return those of the window before a due one."""
        since = window_before(row["window_start"], self.spec.window)
        parameters = {"version": self.drift.version, "since": since, "until": row["window_start"]}
        return self._requested(parameters, is_current=False)

    def source(self, source: str, columns: Sequence[Mapping[str, Any]], **names: Any) -> str:
        """Return the query of a side's rows, of columns ``input_0``, ``input_1``, ..."""
        names = {"is_current": False, **self.names, **names}
        names["rows_sql"] = names.get("rows_sql", "").strip().rstrip(";")
        engine = self.warehouse.engine
        return statement(__package__, "drift_source.sql", engine, source=source, columns=columns, **names)

    def run(self, file: str, parameters: Mapping[str, Any] | None = None, **names: Any) -> None:
        """Run a statement of drift."""
        self.warehouse.run(self._statement(file, names), parameters or None)

    def fetch(self, file: str, parameters: Mapping[str, Any] | None = None, **names: Any) -> pa.Table:
        """Return the rows of a query of drift."""
        return self.warehouse.fetch(self._statement(file, names), parameters or None)

    def write(self, parameters: Mapping[str, Any] | None = None, **names: Any) -> None:
        """Write the drift of the windows that were counted."""
        told = {"as_of": self.as_of, "evaluation": self.spec.name, "model": self.spec.model}
        self.run("write_drift.sql", {**told, **(parameters or {})}, reference=self.spec.drift_reference, **names)

    def _requested(self, parameters: Mapping[str, Any], *, is_current: bool) -> list[Rows]:
        groups = []
        # An engine refuses parameters that a statement does not name.
        if self.inputs:
            sql = self.source("asked", self.inputs, rows_sql=self.drift.current_sql, is_current=is_current)
            left_out = () if is_current else ("version",)
            told = {name: value for name, value in parameters.items() if name not in left_out}
            groups.append(Rows(INPUTS, self.inputs, sql, told))
        if self.outputs:
            sql = self.source("joined", self.outputs, is_current=is_current)
            told = {name: value for name, value in parameters.items() if name != "as_of"}
            groups.append(Rows(OUTPUTS, self.outputs, sql, told))
        return groups

    def _load_scores(self, scores: pa.Array) -> None:
        import pyarrow as pa

        is_text = pa.types.is_string(scores.type)
        nothing = pa.nulls(len(scores), pa.float64() if is_text else pa.string())
        columns = {"number": nothing, "text": scores} if is_text else {"number": scores, "text": nothing}
        self.warehouse.load(Relation(_SCORES), pa.table(columns), temporary=True)

    def _statement(self, file: str, names: Mapping[str, Any]) -> str:
        return statement(__package__, file, self.warehouse.engine, **{**self.names, **names})
