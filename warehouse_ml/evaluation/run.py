"""Evaluate what is due: the join is read once, every window, version and slice is computed together."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from warehouse_ml.errors import DataError
from warehouse_ml.evaluation.compare import write_comparisons
from warehouse_ml.evaluation.drift import DriftInput, write_drift
from warehouse_ml.evaluation.fairness import write_fairness
from warehouse_ml.evaluation.join import JoinColumns, join_columns
from warehouse_ml.evaluation.ranking import SCRATCH as RANKING
from warehouse_ml.evaluation.ranking import rank
from warehouse_ml.evaluation.search import search_slices
from warehouse_ml.evaluation.spec import EvaluationSpec
from warehouse_ml.evaluation.steps import Steps
from warehouse_ml.evaluation.suppress import suppress
from warehouse_ml.warehouses.base import Warehouse

__all__ = ["EvaluatedWindow", "evaluate"]

_LOOKED_AT = ("wml_joined", "wml_due")
SCRATCH = (
    *_LOOKED_AT,
    "wml_combinations",
    "wml_rows",
    "wml_cells",
    "wml_bins",
    *RANKING,
    "wml_moments",
    "wml_medians",
    "wml_confusion",
    "wml_measured",
    "wml_metric",
    "wml_warnings",
    "wml_hidden",
    "wml_strata",
    "wml_compared",
    "wml_tested",
)
_RESULTS = ("evaluations", "metrics", "fairness", "disparities", "calibration", "drift", "worst_slices", "metric_cells")

MOST_CELLS = 10_000
"""A version and window with more cells than this, and than a tenth of its rows, keeps none."""


@dataclass(frozen=True)
class EvaluatedWindow:
    """One version in one window, as just evaluated.

    ``metrics`` are those over everything, by name; None where a metric cannot be computed. ``warning`` says what is
    known of the labels that would mislead.
    """

    evaluation_id: str
    evaluation: str
    model: str | None
    version: int | None
    window_start: dt.datetime | None
    window_end: dt.datetime | None
    as_of: dt.datetime
    n_requests: int
    n_labelled: int
    label_coverage: float
    is_mature: bool
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    warning: str | None = None


def evaluate(
    warehouse: Warehouse,
    spec: EvaluationSpec,
    join_sql: str,
    *,
    as_of: dt.datetime,
    restate: bool = False,
    since: dt.datetime | None = None,
    drift: Iterable[DriftInput] = (),
    search: bool = False,
    on_note: Callable[[str], None] | None = None,
) -> list[EvaluatedWindow]:
    """Evaluate every window that ended by ``as_of`` and was never evaluated, or changed since.

    A window changes when its requests, known labels, predictions, weights or slices do, when the definition does, or
    when it becomes mature. All of it is one transaction; running it twice writes once.

    Parameters
    ----------
    warehouse : Warehouse
    spec : EvaluationSpec
    join_sql : str
        The rendered query of the evaluation file: one row per request and model version.
    as_of : datetime
        Later requests are left out and labels known later are unknown; without a zone it is UTC.
    restate : bool
        Evaluate windows that did not change as well.
    since : datetime, optional
        The start of a window; requests before it are not read, as their windows are known not to have changed.
    drift : iterable of DriftInput
        Reference and current inputs of each version whose drift is wanted; asked for once something is due.
    search : bool
        Search the windows that are evaluated for the slices that do worse than the rest.
    on_note : callable, optional
        Is told what the search left out.

    Returns
    -------
    list of EvaluatedWindow
        By version and window; empty when nothing is due.

    Raises
    ------
    DefinitionError
        If a slice names no column of the join.
    DataError
        If the join lacks a column, or rows cannot be evaluated; nothing is written then.
    """
    if as_of.tzinfo is None:
        as_of = as_of.replace(tzinfo=dt.UTC)
    join_sql = join_sql.strip().rstrip(";")
    columns = join_columns(warehouse, spec, join_sql)
    steps = Steps(warehouse, spec, columns, as_of, since=since)
    warnings: dict[int, str] = {}
    with warehouse.transaction():
        steps.run("rows.sql", join_sql=join_sql)
        steps.run("due.sql", restate=restate)
        due = steps.fetch("due_list.sql")
        if due:
            refuse_bad_rows(spec, steps.fetch("bad_rows.sql"))
            if any(row["is_replacement"] for row in due):
                for table in _RESULTS:
                    steps.run("forget.sql", table=table)
            run_measures(steps, spec, columns, has_ids=search)
            if spec.slices and spec.min_slice_size:
                suppress(steps, spec)
            # Whether a label is late or will never come is known only with a time that it became known.
            has_warnings = columns.has_label_known_at and any(
                not row["is_mature"] and 0 < row["n_labelled"] < row["n_requests"] for row in due
            )
            if has_warnings:
                steps.run("label_warnings.sql", join_sql=join_sql)
                warnings = {row["unit"]: row["warning"] for row in steps.fetch("label_warnings_list.sql")}
            steps.run("write_evaluations.sql", has_warnings=has_warnings)
            steps.run("write_metrics.sql")
            if spec.keep_cells:
                steps.run("write_cells.sql", fields=steps.slice_fields, most_cells=MOST_CELLS)
            if spec.slices:
                write_fairness(steps, spec)
            if spec.task == "binary" and columns.has_score:
                steps.run("write_calibration.sql")
            if any(row["n_versions"] > 1 for row in due):
                write_comparisons(steps, spec, columns)
            write_drift(warehouse, spec, list(drift), due, as_of, columns)
            for told in search_slices(warehouse, spec, columns, join_sql, as_of) if search else ():
                if on_note:
                    on_note(told)
        overall = metrics_by_unit(steps.fetch("overall.sql")) if due else {}
        steps.drop(SCRATCH if due else _LOOKED_AT)
    return [
        EvaluatedWindow(
            evaluation_id=row["evaluation_id"],
            evaluation=spec.name,
            model=spec.model,
            version=row["version"],
            window_start=row["window_start"],
            window_end=row["window_end"],
            as_of=as_of,
            n_requests=row["n_requests"],
            n_labelled=row["n_labelled"],
            label_coverage=row["n_labelled"] / row["n_requests"],
            is_mature=row["is_mature"],
            metrics=overall[row["unit"]],
            warning=warnings.get(row["unit"]),
        )
        for row in due
    ]


def run_measures(steps: Steps, spec: EvaluationSpec, columns: JoinColumns, *, has_ids: bool = False) -> None:
    """Make ``wml_measured`` and ``wml_metric`` of the due windows; ``has_ids`` keeps their requests' ids."""
    steps.run("combinations.sql")
    steps.run("due_rows.sql", has_ids=has_ids)
    steps.run(f"cells_{spec.task}.sql")
    if spec.task == "binary":
        steps.run("bins.sql")
        rank(steps, spec, columns)
    elif spec.task == "regression":
        steps.run("moments.sql")
        steps.run("medians.sql")
    else:
        steps.run("confusion.sql")
    steps.run(f"metrics_{spec.task}.sql")
    if spec.task == "multiclass":
        steps.run("classes.sql")
    if spec.thresholds and columns.has_score:
        steps.run("thresholds.sql")
    if spec.metrics:
        steps.run("own_metrics.sql")
    steps.run("metrics.sql")


def metrics_by_unit(rows: Sequence[Mapping[str, Any]]) -> dict[int, dict[str, float | None]]:
    metrics: dict[int, dict[str, float | None]] = {}
    for row in rows:
        metrics.setdefault(row["unit"], {})[row["metric"]] = row["value"]
    return metrics


_PROBLEMS = {
    "id": ("{n} rows have no request_id", "leave them out in the query"),
    "weight": (
        "{n} rows have a sample_weight that is no weight, such as {shown} (request {example})",
        "a weight is a finite number of 0 or more",
    ),
    "score": (
        "{n} scores are not finite, such as {shown} (request {example})",
        "leave such rows out in the query, or make the score null",
    ),
    "range": (
        "{n} scores are outside [0, 1], such as {shown} (request {example})",
        "the score of a binary task is a probability; for other predictions set task='regression'",
    ),
    "label": (
        "{n} labels are not finite, such as {shown} (request {example})",
        "make a label that is not known null",
    ),
    "values": (
        "{n} labels are neither 0 nor 1, such as {shown} (request {example})",
        "a binary label is a boolean or 0 and 1; for others set task='multiclass' or task='regression'",
    ),
    "decision": (
        "{n} predictions are neither 0 nor 1, such as {shown} (request {example})",
        "a binary prediction is a boolean or 0 and 1; a probability is called score",
    ),
    "early": (
        "{n} labels were known before their request was made, such as at {shown} (request {example})",
        "label_known_at is when the answer became known: look for a join to the wrong event",
    ),
    "twice": (
        "{n} requests occur more than once for one version, such as {example} ({shown} rows)",
        "the query yields one row per request_id and model_version: look for a join that multiplies rows",
    ),
}


def refuse_bad_rows(spec: EvaluationSpec, problems: Sequence[Mapping[str, Any]]) -> None:
    if not problems:
        return
    first = problems[0]
    what, hint = _PROBLEMS[first["problem"]]
    raise DataError(
        what.format(n=first["n_rows"], example=first["example"], shown=first["shown_value"]),
        place=spec.place,
        hint=hint,
    )
