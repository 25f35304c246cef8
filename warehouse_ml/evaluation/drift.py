"""Drift: how far the inputs, predictions and labels of a window are from those of training, or of the window before."""

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

__all__ = ["LABEL", "PREDICTION", "DriftInput", "window_before", "write_drift"]

PREDICTION, LABEL = "(prediction)", "(label)"
"""What the outputs are called among the inputs."""

_KINDS = ("numeric", "categorical")
_EDGES = "wml_drift_edges"
_REFERENCE = "wml_drift_reference"
_PROFILE = (_EDGES, _REFERENCE, "wml_drift_reference_cells")
_LONG = "wml_drift_long"
_CURRENT = "wml_drift_current"
_CELLS = "wml_drift_cells"
_SCORES = "wml_drift_scores"
_TOLD = "wml_drift_told"
_PREDICTION_COLUMN, _LABEL_COLUMN = "output_prediction", "output_label"

_BINS = {
    "numeric": "10 quantile bins of the reference and one of nulls",
    "categorical": "one bin a value and one of nulls",
}
_EXACT = "exact; of the rows that are not null"
# Metric: method behind the bins, and threshold. 0.3 is BigQuery's, 0.2 the usual one for psi; for the others none is.
_BINNED = {
    "psi": ("natural logarithm; shares of rows, at least 0.0001 each", 0.2),
    "jensen_shannon_divergence": ("logarithm to base 2; shares of rows", 0.3),
    "l_infinity": ("largest difference of shares of rows", 0.3),
    "chi_square": ("Pearson's statistic of homogeneity, without correction; degrees of freedom ", None),
}
_ORDERED = {
    "kolmogorov_smirnov": "largest difference of the distribution functions",
    "wasserstein": "first order; in the unit of the input",
    "wasserstein_standardized": "first order; over the standard deviation of the reference",
}

# A reference of more values than this is read from its source each time, and not kept.
_MOST_KEPT_VALUES = 4_000_000
_MOST_KEPT_BYTES = 200_000_000
_TENTHS = 10

# Bin edges and counted values of reference rows that a hash names, so that a year replayed week by week reads each
# version's training rows once. The hash and the columns say everything about them.
_profiles: dict[tuple[Any, ...], tuple[pa.Table, ...]] = {}


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
    previous: tuple[Any, ...] | None = None
    for drift in sorted(wanted, key=lambda drift: (drift.reference_sql, drift.version or 0)):
        columns = _columns(spec, drift, joined)
        step = _Step(warehouse, spec, drift, columns, as_of)
        if spec.drift_reference == "previous":
            for row in due:
                if row["version"] == drift.version and row["window_start"] is not None:
                    step.compare_with_the_window_before(row)
            continue
        key = (drift.reference_sql, *(tuple(column.values()) for column in columns))
        if key != previous:
            step.profile()
            previous = key
        step.compare_with_training(due)
    if wanted:
        for table in (*_PROFILE, _CURRENT, _CELLS, _SCORES, _TOLD):
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
            "column": f"input_{index}",
            "importance": drift.importances.get(name),
        }
        for index, (name, kind) in enumerate(drift.columns.items())
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
                "column": _PREDICTION_COLUMN,
                "source": "score" if has_number else "prediction",
            }
        )
    if is_previous or drift.label is not None:
        columns.append({**output, "name": LABEL, "part": "label", "column": _LABEL_COLUMN, "source": "label"})
    return columns


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
        self._outputs = [column for column in columns if column["part"] != "input"]
        self._names: dict[str, Any] = {
            "task": spec.task,
            "window": spec.window,
            "given": [column for column in columns if column["part"] == "input"],
            "is_previous": spec.drift_reference == "previous",
            "has_scores": False,
        }

    def profile(self) -> None:
        """Bring the bin edges and the values of the reference into the warehouse, computed or from before."""
        warehouse, drift = self._warehouse, self._drift
        key = (warehouse.engine, drift.reference_hash, *(tuple(column.values()) for column in self._columns))
        kept = _profiles.get(key) if drift.reference_hash else None
        if kept is not None:
            for table, rows in zip(_PROFILE, kept, strict=True):
                warehouse.load(Relation(table), rows, temporary=True)
            return
        given = list(self._names["given"])
        if drift.label is not None:
            given += [{**column, "name": drift.label} for column in self._columns if column["part"] == "label"]
        has_scores = any(column["part"] == "prediction" for column in self._columns)
        if has_scores and drift.scores is not None:
            self._load_scores(drift.scores())
        self._long(drift.reference_sql, given=given, is_current=False, has_scores=has_scores)
        self._run("drift_edges.sql")
        n_values = sum(self._fetch(_EDGES)["n_rows"].to_pylist()) / _TENTHS
        is_kept = drift.reference_hash is not None and n_values <= _MOST_KEPT_VALUES
        self._run("drift_placed.sql", table=_REFERENCE, is_counted=is_kept)
        self._run("drift_reference_cells.sql")
        if not is_kept:
            return
        _profiles[key] = tuple(self._fetch(table) for table in _PROFILE)
        while (
            len(_profiles) > 1 and sum(rows.nbytes for kept in _profiles.values() for rows in kept) > _MOST_KEPT_BYTES
        ):
            _profiles.pop(next(iter(_profiles)))

    def compare_with_training(self, due: Sequence[Mapping[str, Any]]) -> None:
        """Write the drift of every due window of the version from the reference that was profiled."""
        drift = self._drift
        parameters = {"as_of": self._as_of, "version": drift.version}
        self._current(parameters, [row for row in due if row["version"] == drift.version])
        self._write("training")

    def compare_with_the_window_before(self, row: Mapping[str, Any]) -> None:
        """Write the drift of one window from the window before it."""
        drift = self._drift
        version = {"version": drift.version} if self._outputs else {}
        since = window_before(row["window_start"], self._spec.window)
        bounds = {"since": since, "until": row["window_start"]}
        self._long(drift.current_sql, {**version, **bounds}, joined=self._outputs, is_current=False)
        self._run("drift_edges.sql")
        self._run("drift_placed.sql", table=_REFERENCE, is_counted=False)
        self._run("drift_reference_cells.sql")
        parameters = {"version": drift.version, "as_of": self._as_of, "unit": row["unit"]}
        self._current(parameters, [row])
        self._write("previous")

    def _current(self, parameters: Mapping[str, Any], due: Sequence[Mapping[str, Any]]) -> None:
        # Of few rows, most values occur again and again; to count a million doubles takes longer than to carry them.
        n_values = sum(row["n_requests"] for row in due) * len(self._columns)
        names = {"joined": self._outputs, "is_counted": n_values <= _MOST_KEPT_VALUES}
        self._long(self._drift.current_sql, parameters, is_current=True, **names)

    def _long(
        self, rows_sql: str, parameters: Mapping[str, Any] | None = None, *, is_current: bool, **names: Any
    ) -> None:
        names = {"joined": [], "is_counted": False, **names, "rows_sql": rows_sql.strip().rstrip(";")}
        self._run("drift_long.sql", parameters, is_current=is_current, **names)

    def _write(self, reference: str) -> None:
        self._run("drift_placed.sql", table=_CURRENT, is_counted=False)
        _drop(self._warehouse, _LONG)
        self._warehouse.load(Relation(_TOLD), _told(self._columns), temporary=True)
        self._run("drift_cells.sql")
        written = {"as_of": self._as_of, "evaluation": self._spec.name, "model": self._spec.model}
        self._run("write_drift.sql", written, reference=reference)

    def _load_scores(self, scores: pa.Array) -> None:
        import pyarrow as pa

        is_text = pa.types.is_string(scores.type)
        nothing = pa.nulls(len(scores), pa.float64() if is_text else pa.string())
        columns = {"number": nothing, "text": scores} if is_text else {"number": scores, "text": nothing}
        self._warehouse.load(Relation(_SCORES), pa.table(columns), temporary=True)

    def _run(self, file: str, parameters: Mapping[str, Any] | None = None, **names: Any) -> None:
        sql = statement(__package__, file, self._warehouse.engine, **{**self._names, **names})
        self._warehouse.run(sql, parameters or None)

    def _fetch(self, table: str) -> pa.Table:
        return self._warehouse.fetch(statement(__package__, "drift_kept.sql", self._warehouse.engine, table=table))


def _told(columns: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Return what is told of a metric beside its value: one row for each column and metric that it has."""
    import pyarrow as pa

    rows = []
    for column in columns:
        told = {metric: (f"{_BINS[column['kind']]}; {how}", limit) for metric, (how, limit) in _BINNED.items()}
        if column["kind"] == "numeric":
            told |= {metric: (f"{_EXACT}; {how}", None) for metric, how in _ORDERED.items()}
        shown = {name: column[name] for name in ("name", "part", "importance")}
        rows += [
            {"input": column["column"], "metric": metric, "method": method, "threshold": limit, **shown}
            for metric, (method, limit) in told.items()
        ]
    text, number = pa.string(), pa.float64()
    types = {"input": text, "metric": text, "method": text, "threshold": number}
    types |= {"name": text, "part": text, "importance": number}
    return pa.Table.from_pylist(rows, schema=pa.schema(list(types.items())))


def _drop(warehouse: Warehouse, table: str) -> None:
    warehouse.run(statement(__package__, "drop_scratch.sql", warehouse.engine, table=table))
