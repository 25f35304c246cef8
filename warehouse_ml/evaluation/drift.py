"""Drift: how far the inputs, predictions and labels of a window are from those of training, or of the window before."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from warehouse_ml.errors import DefinitionError, did_you_mean
from warehouse_ml.evaluation.drift_pieces import SHARES, UNCUT, Pieces, cut
from warehouse_ml.evaluation.drift_tables import edge_rows, piece_rows, told
from warehouse_ml.evaluation.join import JoinColumns
from warehouse_ml.evaluation.spec import EvaluationSpec
from warehouse_ml.templates import statement
from warehouse_ml.warehouses.base import Relation, Warehouse

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["LABEL", "PREDICTION", "DriftInput", "window_before", "write_drift"]

PREDICTION, LABEL = "(prediction)", "(label)"
"""What the outputs are called among the inputs."""

_KINDS = ("numeric", "categorical")
_GIVEN, _REFERENCE, _CURRENT = "wml_drift_given", "wml_drift_reference", "wml_drift_current"
_INPUTS, _OUTPUTS = "inputs", "outputs"
_COUNTED = "counted"
_PIECES, _EDGES = "wml_drift_pieces", "wml_drift_edges"
_CELLS = "wml_drift_cells"
_OPEN = "wml_drift_open"
_PICKED, _WALKED = "wml_drift_picked", "wml_drift_walked"
_SCORES = "wml_drift_scores"
_TOLD = "wml_drift_told"
_SCRATCH = (
    *(f"{side}_{of}" for side in (_REFERENCE, _CURRENT) for of in (_INPUTS, _OUTPUTS, _COUNTED)),
    *(_PIECES, _EDGES, _CELLS, _OPEN, _PICKED, _WALKED, _SCORES, _TOLD),
)

_MOST_KEPT_BYTES = 600_000_000


@dataclass(frozen=True)
class _Profile:
    """What is kept of a reference: how its numbers are counted, the counts, and the numbers that stand in cells."""

    pieces: Mapping[int, Pieces]
    tables: Mapping[str, pa.Table]

    @property
    def nbytes(self) -> int:
        return sum(table.nbytes for table in self.tables.values())


# Profiles of reference rows that a hash names, so that a year replayed week by week reads each version's training rows
# once. The hash and the columns say everything about them.
_profiles: dict[tuple[Any, ...], _Profile] = {}


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
    profiled: tuple[tuple[Any, ...], Mapping[int, Pieces]] | None = None
    for drift in sorted(wanted, key=lambda drift: (drift.reference_sql, drift.version or 0)):
        columns = _columns(spec, drift, joined)
        step = _Step(warehouse, spec, drift, columns, as_of)
        if spec.drift_reference == "previous":
            for row in due:
                if row["version"] == drift.version and row["window_start"] is not None:
                    step.compare_with_the_window_before(row)
            continue
        key = (drift.reference_sql, *(tuple(column.values()) for column in columns))
        if profiled is not None and key == profiled[0]:
            step.pieces = profiled[1]
        else:
            step.profile()
            profiled = key, step.pieces
        step.compare_with_training(due)
    if wanted:
        for table in _SCRATCH:
            _drop(warehouse, table)


def window_before(start: dt.datetime, window: str) -> dt.datetime:
    """Return where the window before the one that ``start`` falls in begins, in UTC; weeks begin on Monday."""
    start = start.astimezone(dt.UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if window == "month":
        return (start.replace(day=1) - dt.timedelta(days=1)).replace(day=1)
    if window == "week":
        return start - dt.timedelta(days=start.weekday() + 7)
    return start - dt.timedelta(days=1)


def _columns(spec: EvaluationSpec, drift: DriftInput, joined: JoinColumns) -> list[dict[str, Any]]:
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
class _Rows:
    """Rows of one side that are read together: their columns, the query and its parameters."""

    name: str
    columns: Sequence[Mapping[str, Any]]
    sql: str
    parameters: Mapping[str, Any] = field(default_factory=dict)


class _Step:
    """The statements for one version, and the names that they share."""

    def __init__(
        self,
        warehouse: Warehouse,
        spec: EvaluationSpec,
        drift: DriftInput,
        columns: Sequence[Mapping[str, Any]],
        as_of: dt.datetime,
    ) -> None:
        self._warehouse, self._spec, self._drift, self._as_of = warehouse, spec, drift, as_of
        self._columns = columns
        self._inputs = [column for column in columns if column["part"] == "input"]
        self._outputs = [column for column in columns if column["part"] != "input"]
        self.pieces: Mapping[int, Pieces] = {}
        self._names: dict[str, Any] = {
            "task": spec.task,
            "window": spec.window,
            "is_previous": spec.drift_reference == "previous",
        }

    def profile(self) -> None:
        """Bring the counted values of the reference into the warehouse, computed or from before."""
        warehouse, drift = self._warehouse, self._drift
        key = (warehouse.engine, drift.reference_hash, *(tuple(column.values()) for column in self._columns))
        kept = _profiles.get(key) if drift.reference_hash else None
        if kept is not None:
            self.pieces = kept.pieces
            for table, rows in kept.tables.items():
                warehouse.load(Relation(table), rows, temporary=True)
            return
        asked = list(self._inputs)
        if drift.label is not None:
            asked += [{**column, "name": drift.label} for column in self._outputs if column["part"] == "label"]
        groups = [_Rows(_INPUTS, asked, self._source("asked", asked, rows_sql=drift.reference_sql))]
        scored = [column for column in self._outputs if column["part"] == "prediction"]
        if scored and drift.scores is not None:
            self._load_scores(drift.scores())
            groups.append(_Rows(_OUTPUTS, scored, self._source("scores", scored)))
        tables = self._count_reference(groups)
        if drift.reference_hash is None:
            return
        _profiles[key] = _Profile(self.pieces, {table: self._fetch("drift_kept.sql", table=table) for table in tables})
        while len(_profiles) > 1 and sum(kept.nbytes for kept in _profiles.values()) > _MOST_KEPT_BYTES:
            _profiles.pop(next(iter(_profiles)))

    def compare_with_training(self, due: Sequence[Mapping[str, Any]]) -> None:
        """Write the drift of every due window of the version from the reference that was profiled."""
        self._compare([row for row in due if row["version"] == self._drift.version], "training")

    def compare_with_the_window_before(self, row: Mapping[str, Any]) -> None:
        """Write the drift of one window from the window before it."""
        since = window_before(row["window_start"], self._spec.window)
        parameters = {"version": self._drift.version, "since": since, "until": row["window_start"]}
        self._count_reference(self._requests(parameters, is_current=False))
        self._compare([row], "previous")

    def _requests(self, parameters: Mapping[str, Any], *, is_current: bool) -> list[_Rows]:
        """Return the logged rows, and those of the evaluation's join."""
        groups = []
        # An engine refuses parameters that a statement does not name.
        if self._inputs:
            sql = self._source("asked", self._inputs, rows_sql=self._drift.current_sql, is_current=is_current)
            left_out = () if is_current else ("version",)
            told = {name: value for name, value in parameters.items() if name not in left_out}
            groups.append(_Rows(_INPUTS, self._inputs, sql, told))
        if self._outputs:
            sql = self._source("joined", self._outputs, is_current=is_current)
            told = {name: value for name, value in parameters.items() if name != "as_of"}
            groups.append(_Rows(_OUTPUTS, self._outputs, sql, told))
        return groups

    def _count_reference(self, groups: Sequence[_Rows]) -> list[str]:
        """Count the values of the reference, and return the tables that say all about them."""
        given: list[dict[str, Any]] = []
        for rows in groups:
            table = f"{_GIVEN}_{rows.name}"
            columns = [{**column, **UNCUT.written, "rows": table, "group": rows.name} for column in rows.columns]
            self._run("drift_rows.sql", rows.parameters, table=table, columns=columns, rows_sql=rows.sql)
            given += columns
        numeric = [column for column in given if column["kind"] == "numeric"]
        profiles = self._fetch("drift_quantiles.sql", columns=numeric, shares=SHARES).to_pylist() if numeric else []
        self.pieces = {profile["input"]: cut(profile) for profile in profiles}
        tables = [f"{_REFERENCE}_{_COUNTED}"]
        counted = [self._with_pieces(column) for column in given]
        for group in {column["group"]: None for column in counted}:
            # Values that are counted one by one are not looked into again.
            placed = [column for column in counted if column["group"] == group and column["pieces"]]
            if placed:
                tables.append(f"{_REFERENCE}_{group}")
                sql = self._source("given", placed, given=f"{_GIVEN}_{group}")
                self._run("drift_rows.sql", table=tables[-1], columns=placed, rows_sql=sql)
                for column in placed:
                    column["rows"] = tables[-1]
        self._run("drift_counted.sql", table=tables[0], columns=counted, unit=0)
        for rows in groups:
            _drop(self._warehouse, f"{_GIVEN}_{rows.name}")
        return tables

    def _compare(self, due: Sequence[Mapping[str, Any]], reference: str) -> None:
        """Count the values of the windows, and write how far they are from those of the reference."""
        warehouse = self._warehouse
        unit = due[0]["unit"] if len(due) == 1 else None
        parameters = {"version": self._drift.version, "as_of": self._as_of}
        if self._names["is_previous"]:
            parameters["unit"] = unit
        current = []
        for rows in self._requests(parameters, is_current=True):
            table = f"{_CURRENT}_{rows.name}"
            columns = [{**self._with_pieces(column), "rows": table, "group": rows.name} for column in rows.columns]
            self._run("drift_rows.sql", rows.parameters, table=table, columns=columns, rows_sql=rows.sql)
            current += columns
        self._run("drift_counted.sql", table=f"{_CURRENT}_{_COUNTED}", columns=current, unit=unit)
        warehouse.load(Relation(_PIECES), piece_rows(self.pieces), temporary=True)
        warehouse.load(Relation(_EDGES), edge_rows(self.pieces), temporary=True)
        warehouse.load(Relation(_TOLD), told(self._columns), temporary=True)
        self._run("drift_cells.sql")
        placed = [column for column in current if column["pieces"]]
        if placed:
            self._walk(placed, unit)
        written = {"as_of": self._as_of, "evaluation": self._spec.name, "model": self._spec.model}
        self._run("write_drift.sql", written, reference=reference, has_cells=bool(placed))

    def _walk(self, columns: Sequence[Mapping[str, Any]], unit: int | None) -> None:
        """Look into the cells in which the distribution functions may cross, or be farthest apart, or a tenth ends."""
        self._run("drift_open.sql")
        inputs = set(self._fetch("drift_open_inputs.sql")["input"].to_pylist())
        current = [column for column in columns if column["index"] in inputs]
        # The label of the training rows stands among their inputs.
        is_previous = self._names["is_previous"]
        groups = {c["index"]: c["group"] if is_previous or c["part"] != "label" else _INPUTS for c in current}
        reference = [{**column, "rows": f"{_REFERENCE}_{groups[column['index']]}"} for column in current]
        self._run("drift_picked.sql", reference=reference, current=current, unit=unit)
        self._run("drift_walked.sql")

    def _with_pieces(self, column: Mapping[str, Any]) -> dict[str, Any]:
        return {**column, **self.pieces.get(column["index"], UNCUT).written}

    def _source(self, source: str, columns: Sequence[Mapping[str, Any]], **names: Any) -> str:
        names = {"is_current": False, **self._names, **names}
        names["rows_sql"] = names.get("rows_sql", "").strip().rstrip(";")
        engine = self._warehouse.engine
        return statement(__package__, "drift_source.sql", engine, source=source, columns=columns, **names)

    def _load_scores(self, scores: pa.Array) -> None:
        import pyarrow as pa

        is_text = pa.types.is_string(scores.type)
        nothing = pa.nulls(len(scores), pa.float64() if is_text else pa.string())
        columns = {"number": nothing, "text": scores} if is_text else {"number": scores, "text": nothing}
        self._warehouse.load(Relation(_SCORES), pa.table(columns), temporary=True)

    def _run(self, file: str, parameters: Mapping[str, Any] | None = None, **names: Any) -> None:
        self._warehouse.run(self._statement(file, names), parameters or None)

    def _fetch(self, file: str, **names: Any) -> pa.Table:
        return self._warehouse.fetch(self._statement(file, names))

    def _statement(self, file: str, names: Mapping[str, Any]) -> str:
        return statement(__package__, file, self._warehouse.engine, **{**self._names, **names})


def _drop(warehouse: Warehouse, table: str) -> None:
    warehouse.run(statement(__package__, "drop_scratch.sql", warehouse.engine, table=table))
