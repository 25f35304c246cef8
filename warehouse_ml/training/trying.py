"""Try a definition without keeping it: fitted, measured beside the champion on the same rows, and left at that."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from warehouse_ml.evaluation import EvaluationSpec, Measured, evaluate
from warehouse_ml.functions import Context
from warehouse_ml.registry import CHAMPION, Registry, StoredVersion, Version
from warehouse_ml.tables import all_of, undone
from warehouse_ml.templates import statement
from warehouse_ml.training.attempt import Attempt, attempt
from warehouse_ml.training.holdout import held_out_query
from warehouse_ml.training.native import refuse_native_training
from warehouse_ml.training.rows import TRAINING_ROWS, read_training_rows
from warehouse_ml.training.runs import TRIED, HeldOut, RunLog
from warehouse_ml.training.subject import Subject
from warehouse_ml.training.train import record_failure
from warehouse_ml.warehouses.base import Relation, Warehouse

__all__ = ["Tried", "try_out"]

_NAME = "(held out)"
_AFTER_ALL = dt.datetime(9999, 1, 1, tzinfo=dt.UTC)
_CANDIDATE_ROWS, _CHAMPION_ROWS = Relation("_wml_candidate_rows"), Relation("_wml_champion_rows")


@dataclass(frozen=True)
class Tried:
    """What a definition came to that was tried.

    Parameters
    ----------
    model : str
    run_id : str
        Its row of ``wml.training_runs``.
    metrics : mapping of str to Measured
        On the rows held out; of a model without a label, on all rows and without intervals.
    champion : Version or None
        With whom it was compared.
    comparisons : mapping of str to dict
        By metric, what the champion has on the same rows (``other_value``) and the difference with its interval and
        p-value, as in ``wml.comparisons``; without a difference if the champion cannot score the rows but was measured
        on them when it was trained; else empty.
    reason : str or None
        Why there is no difference.
    n_train, n_held_out : int
    seconds : float
    warnings, notes : list of str
    """

    model: str
    run_id: str
    metrics: Mapping[str, Measured]
    champion: Version | None
    comparisons: Mapping[str, Mapping[str, Any]]
    reason: str | None
    n_train: int
    n_held_out: int
    seconds: float
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def try_out(
    warehouse: Warehouse,
    registry: Registry,
    model: str,
    read: Callable[[], Subject],
    as_of: dt.datetime,
    *,
    on_step: Callable[[str], None] | None = None,
) -> Tried:
    """Fit and measure a model without publishing it: the registry is read, and nothing is written to it.

    Parameters and errors are those of ``train``. The run is a row of ``wml.training_runs`` with the status ``tried``;
    its trials, if it was tuned, are taken over by a training of the same definition on the same rows.
    """
    say = on_step or (lambda _: None)
    log = RunLog(warehouse, model, as_of)
    try:
        subject = read()
        refuse_native_training(subject.definition, "--try")
        say("reading the training rows")
        rows = read_training_rows(Context(warehouse, registry, as_of), subject.definition, subject.max_rows)
        done = attempt(warehouse, subject, rows, log, say)
        champion = registry.holder(model, CHAMPION, as_of)
        stored = registry.load(champion) if champion else None
        reason = _why_not(warehouse, done, stored)
        comparisons: dict[str, dict[str, Any]] = {}
        if stored is not None and reason is None:
            say("scoring the same rows with the champion")
            comparisons = _beside(warehouse, done, stored)
        elif champion is not None and done.held_out is not None:
            comparisons = _at_its_training(warehouse, champion, done.held_out)
            reason = f"{reason}{': shown is what it had at its own training, on the same rows' if comparisons else ''}"
        log.end(TRIED, metrics=done.metrics, held_out=done.held_out, optimal_trial=done.optimal_trial)
    except BaseException as error:
        record_failure(log, error)
        raise
    unlabelled = {name: Measured(value, None, None, None, rows.n_rows) for name, value in done.result.metrics.items()}
    return Tried(
        model=model,
        run_id=log.run_id,
        metrics=done.measures or unlabelled,
        champion=champion,
        comparisons=comparisons,
        reason=reason,
        n_train=rows.n_train,
        n_held_out=done.n_held_out,
        seconds=log.seconds,
        warnings=done.result.warnings,
        notes=done.notes,
    )


def _why_not(warehouse: Warehouse, done: Attempt, stored: StoredVersion | None) -> str | None:
    """Return why the champion cannot be compared on these rows, or None if it can."""
    parameters = done.result.parameters
    if stored is None:
        return "there is no champion to compare it with"
    if not done.n_held_out:
        return "no rows are held out to compare it on"
    known = {name.lower() for name in warehouse.columns(all_of(warehouse, TRAINING_ROWS))}
    missing = [column.name for column in stored.parameters.inputs if column.name.lower() not in known]
    if missing:
        return f"the champion needs {missing[0]}, which is not selected any more"
    if stored.native is not None:
        return "BigQuery ML trained the champion: it cannot be asked about these rows"
    if stored.parameters.task != parameters.task or stored.parameters.label != parameters.label:
        return "the champion has another label"
    return None


def _beside(warehouse: Warehouse, done: Attempt, stored: StoredVersion) -> dict[str, dict[str, Any]]:
    """Return, by metric, how the model and the champion differ on the rows held out, as two versions on one log do."""
    number = stored.version.version
    queries = [
        held_out_query(warehouse, parameters, done.n_held_out, side=done.side, version=version, scratch=scratch)
        for parameters, version, scratch in (
            (done.result.parameters, number + 1, _CANDIDATE_ROWS),
            (stored.parameters, number, _CHAMPION_ROWS),
        )
    ]
    config = {"task": done.result.parameters.task, "threshold": done.threshold}
    spec = EvaluationSpec.from_config(_NAME, config, place=stored.version.model, definition_hash="")
    engine = warehouse.engine
    with undone(warehouse):
        evaluate(
            warehouse, spec, statement(__package__, "both_versions.sql", engine, queries=queries), as_of=_AFTER_ALL
        )
        asked = {"evaluation": _NAME, "as_of": _AFTER_ALL, "version": number}
        found = warehouse.fetch(statement(__package__, "beside_champion.sql", engine), asked).to_pylist()
    return {row.pop("metric"): row for row in found}


def _at_its_training(warehouse: Warehouse, champion: Version, held_out: HeldOut) -> dict[str, dict[str, Any]]:
    """Return, by metric, what the champion had when it was trained, if the rows held out were the same."""
    asked = {"model": champion.model, "version": champion.version, "comparable_group": held_out.group}
    sql = statement(__package__, "champion_held_out.sql", warehouse.engine)
    return {row.pop("metric"): row for row in warehouse.fetch(sql, asked).to_pylist()}
