"""Evaluate a project's evaluations: the window that may have changed, and the inputs whose drift is told beside it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from warehouse_ml.catalog import Clock, Node
from warehouse_ml.errors import RowsNotKeptError
from warehouse_ml.evaluation import (
    DriftInput,
    EvaluatedWindow,
    EvaluationSpec,
    evaluate,
    reopened_since,
    window_before,
)
from warehouse_ml.functions import held_out_side, placing
from warehouse_ml.registry import SERVING, StoredVersion
from warehouse_ml.requests.predict import REQUEST_COLUMNS, log_of
from warehouse_ml.scoring import importances, score_arrow
from warehouse_ml.scoring.features import KINDS, FittedFeature, InputColumn, Kind, cleaned
from warehouse_ml.session import Session
from warehouse_ml.tables import one_row
from warehouse_ml.templates import statement
from warehouse_ml.warehouses.base import LaysOut, Relation, Warehouse

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["OnStep", "evaluate_nodes", "open_since"]

OnStep = Callable[[str], None]
"""Is told what is being done, in words."""

_MOST_SCORED_ROWS = 100_000


def evaluate_nodes(
    session: Session,
    nodes: Sequence[Node],
    as_of: dt.datetime,
    *,
    restate: bool = False,
    search: bool = False,
    on_step: OnStep | None = None,
    on_note: OnStep | None = None,
) -> list[EvaluatedWindow]:
    """Evaluate each window of evaluations that is due; what they read must be built."""
    done: list[EvaluatedWindow] = []
    for node in nodes:
        if on_step:
            on_step(f"evaluating {node.name}")
        spec = EvaluationSpec.from_config(
            node.name, node.config, place=node.place, definition_hash=session.catalog.definition_hash(node)
        )
        since = _open_since(session, spec) if spec.model and not restate else None
        if since is not None and spec.drift_reference == "previous":
            since = window_before(since, spec.window)
        query = session.reader.query(node, Clock(as_of))
        with placing(query, session.warehouse):
            since = reopened_since(session.warehouse, spec, query.sql, since, as_of)
            done += evaluate(
                session.warehouse,
                spec,
                query.sql,
                as_of=as_of,
                restate=restate,
                since=since,
                drift=_drift_inputs(session, spec, spec.model, since, on_note) if spec.model else [],
                search=search,
                on_note=on_note,
            )
    return done


def _open_since(session: Session, spec: EvaluationSpec) -> dt.datetime | None:
    """Return where the first window starts that may still change, so that a week's job reads a week and not a year."""
    return open_since(session.warehouse, log_of(str(spec.model)), spec.name, spec.definition_hash)


def open_since(warehouse: Warehouse, log: Relation, evaluation: str, definition_hash: str) -> dt.datetime | None:
    """Return where the first window starts that may still change.

    Where tables are in partitions, those of closed windows are not read, unless their rows are not as many as were
    evaluated: then something came late, and is looked for.

    Parameters
    ----------
    warehouse : Warehouse
    log : Relation
        The request log of the evaluation's model.
    evaluation, definition_hash : str
        Windows that were evaluated under another definition are open.

    Returns
    -------
    datetime or None
        In UTC; None where nothing has been logged.
    """
    names: dict[str, Any] = {"evaluation": evaluation, "definition_hash": definition_hash}
    engine = warehouse.engine
    if isinstance(warehouse, LaysOut):
        until = one_row(warehouse, statement(__package__, "closed_until.sql", engine), names)["closed_until"]
        if until is not None:
            sql = statement(__package__, "open_since.sql", engine, log=log, is_after_closed=True)
            found = one_row(warehouse, sql, {**names, "closed_until": until})
            if found["is_settled"]:
                settled: dt.datetime = found["open_since"]
                return settled
    sql = statement(__package__, "open_since.sql", engine, log=log, is_after_closed=False)
    since: dt.datetime | None = one_row(warehouse, sql, names)["open_since"]
    return since


def _drift_inputs(
    session: Session, spec: EvaluationSpec, model: str, since: dt.datetime | None, on_note: OnStep | None
) -> Iterator[DriftInput]:
    """Compare what each version that served was asked with the rows it was trained on; shadows are left out.

    A version is read only when its inputs are asked for, which they are not where no window is due.
    """
    engine = session.warehouse.engine
    # A window may be measured from the one before it.
    first = None if since is None or spec.window == "all" else window_before(since, spec.window)
    serving = {
        period.version
        for alias in SERVING
        for period in session.registry.periods(model, alias)
        if since is None or period.until is None or period.until > since
    }
    for version in session.registry.versions(model):
        if version.version not in serving:
            continue
        stored = session.registry.load(version)
        parameters = stored.parameters
        columns = {
            column.name: "categorical" if column.kind == "category" else "numeric"
            for column in parameters.inputs
            if column.kind in KINDS and column.name.lower() not in REQUEST_COLUMNS
        }
        if not columns:
            continue
        values = {
            column.name: _days_or_seconds(column, engine) for column in parameters.inputs if column.name in columns
        }
        current_sql = statement(
            __package__,
            "drift_current.sql",
            engine,
            columns=values,
            log=log_of(model),
            version=version.version,
            since=first,
        )
        shares = {} if stored.native is not None else importances(parameters)
        if spec.drift_reference == "previous":
            # The window before is in the log: nobody needs the rows of the training.
            yield DriftInput(version.version, "", current_sql, columns, importances=shares)
            continue
        try:
            path = session.warehouse.parquet(session.registry.snapshot_path(version))
        except RowsNotKeptError as error:
            if on_note:
                on_note(f"no drift from the training of {model}@{version.version}: {error.what}")
            continue
        # Outputs are compared where the evaluation judges what the model predicts.
        has_outputs = parameters.task == spec.task and bool(parameters.label)
        yield DriftInput(
            version=version.version,
            reference_sql=statement(
                __package__,
                "drift_reference.sql",
                engine,
                columns=values,
                path=path,
                label=parameters.label if has_outputs else None,
                positive=parameters.classes[-1] if parameters.task == "binary" else None,
            ),
            current_sql=current_sql,
            columns=columns,
            reference_hash=version.artifact_hash,
            importances=shares,
            label="wml_label" if has_outputs else None,
            scores=partial(_held_out_scores, session, stored, path) if has_outputs else None,
        )


def _held_out_scores(session: Session, stored: StoredVersion, path: str | Relation) -> pa.Array:
    """Return what a version predicts for the rows held out of training, or else for those trained on."""
    rows = statement(
        "warehouse_ml.functions",
        "trained_rows.sql",
        session.warehouse.engine,
        path=path,
        split=held_out_side(stored)[0],
        most=_MOST_SCORED_ROWS,
    )
    scored = score_arrow(session.warehouse, stored.parameters, rows).read_all()
    name = "prediction" if stored.parameters.task == "multiclass" else "score"
    return scored[name].combine_chunks()


def _days_or_seconds(column: InputColumn, engine: str) -> str | None:
    """Return a date as days and an instant as seconds, which can be cut into buckets; None for any other column."""
    kinds: dict[str, Kind] = {"date": "date", "timestamp": "timestamp"}
    kind = kinds.get(column.kind)
    return None if kind is None else cleaned(FittedFeature(column.name, kind, "double"), None).sql(dialect=engine)
