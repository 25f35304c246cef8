"""Every answer of a period scored again, by one statement a version."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from warehouse_ml.catalog import Catalog
from warehouse_ml.errors import DataError, DefinitionError
from warehouse_ml.registry import Registry, StoredVersion
from warehouse_ml.replay.again import (
    Logged,
    Way,
    answered_there,
    asked,
    features_of,
    has_statement,
    stored_of,
    way_of,
)
from warehouse_ml.replay.answers import log_columns
from warehouse_ml.requests.predict import REQUEST_COLUMNS, log_of
from warehouse_ml.scoring import score_arrow
from warehouse_ml.tables import spooled
from warehouse_ml.templates import statement
from warehouse_ml.warehouses.base import Relation, Warehouse

__all__ = ["ReplayedVersion", "replay_period", "window_of"]

_SCORES = Relation("_wml_replayed_scores")
_COUNTS = ("n_answers", "n_different", "n_flips", "max_abs_difference")
_BATCH_ROWS = 10_000


@dataclass(frozen=True)
class ReplayedVersion:
    """The answers of one version in a period.

    Parameters
    ----------
    model : str
    version : int
    how : {'sql', 'arrays', 'ml.predict'}
        The way that this version answers.
    n_answers, n_different : int
        Answers, and those of which a bit of the score, or the prediction, is another now.
    n_flips : int
        Answers whose prediction is another.
    max_abs_difference : float or None
        Between two scores; None where there is no answer.
    """

    model: str
    version: int
    how: str
    n_answers: int
    n_different: int
    n_flips: int
    max_abs_difference: float | None


def replay_period(
    warehouse: Warehouse,
    registry: Registry,
    model: str,
    *,
    since: dt.datetime | None = None,
    until: dt.datetime | None = None,
    version: str | None = None,
    by: Way | None = None,
    on_difference: Callable[[dict[str, Any]], None] | None = None,
    on_step: Callable[[str], None] | None = None,
) -> list[ReplayedVersion]:
    """Replay every logged answer to the requests of a period.

    Parameters
    ----------
    warehouse : Warehouse
        May be open for reading alone; nothing is changed.
    registry : Registry
    model : str
    since, until : datetime, optional
        Requests made from ``since`` up to ``until``; from the first, to the last.
    version : str, optional
        Only the answers of this version, by number or alias.
    by : {'sql', 'arrays'}, optional
        By the version's statement, or from its parameters; the way that the version answers by default.
    on_difference : callable, optional
        Given each answer that differs, in the order of time: model, version, alias, request_id, requested_at,
        logged_score, replayed_score, difference, logged_prediction, replayed_prediction.
    on_step : callable, optional
        Told what is being done.

    Returns
    -------
    list of ReplayedVersion
        Of each version that answered, by number.

    Raises
    ------
    DataError
        If there is no log, the folder of a version is gone, or the log lacks what it reads.
    DefinitionError
        If a version is to be replayed by a statement, and is too large to have one.
    ArtifactError
        If a stored version is not what was published.
    """
    columns = log_columns(warehouse, model)
    wanted = None if version is None else registry.get(registry.name_of(model), version).version
    sql = statement(__package__, "versions_logged.sql", warehouse.engine, log=log_of(model), since=since, until=until)
    numbers = [row["version"] for row in warehouse.fetch(sql).to_pylist()]
    if wanted is not None:
        numbers = [number for number in numbers if number == wanted]
    # Every version is checked before the first is replayed.
    versions = [stored_of(registry, model, number) for number in numbers]
    for stored in versions if by is not None else ():
        if stored.native is not None:
            raise DefinitionError(
                f"{model}@{stored.version.version} has neither a statement nor parameters here: BigQuery ML answers it",
                hint="leave --by out, or name the version that it is for: --version 2",
            )
    for stored in versions if by == "sql" else ():
        if not has_statement(stored):
            raise DefinitionError(
                f"{model}@{stored.version.version} has no statement: it is scored from its parameters alone",
                hint="replay it with --by arrays",
            )
    done = []
    for stored in versions:
        number = stored.version.version
        if on_step:
            on_step(f"replaying {model} version {number}")
        answers = Logged(number, since=since, until=until)
        counts: dict[str, Any] = {}
        how = way_of(stored, warehouse.engine) if by is None else by
        for row in _compared(warehouse, stored, answers, columns, how):
            counts = {name: row.pop(name) for name in _COUNTS}
            if row["request_id"] is not None and on_difference:
                on_difference({"model": stored.version.model, "version": number, **_with_difference(row)})
        done.append(ReplayedVersion(stored.version.model, number, how, **counts))
    return done


def _compared(
    warehouse: Warehouse, stored: StoredVersion, answers: Logged, columns: dict[str, str], how: str
) -> Iterator[dict[str, Any]]:
    log, engine, model = log_of(stored.version.model), warehouse.engine, stored.version.model
    source = asked(warehouse, model, answers, features_of(stored, columns, str(log)))
    if stored.native is not None:
        scored = statement(
            __package__,
            "score_of_input.sql",
            engine,
            scoring=answered_there(warehouse, stored, stored.native, source),
        )
    elif how == "sql":
        scored = statement(__package__, "score_of_input.sql", engine, scoring=stored.scoring_on(engine))
        scored = statement("warehouse_ml.requests", "score.sql", engine, source=source, scoring=scored)
    else:
        with spooled(score_arrow(warehouse, stored.parameters, source, keep=REQUEST_COLUMNS[:1])) as scores:
            warehouse.load(_SCORES, scores, temporary=True)
        scored = statement(__package__, "score_of_arrays.sql", engine, scores=_SCORES)
    is_binary = stored.parameters.task == "binary"
    sql = statement(
        __package__,
        "compared.sql",
        engine,
        scored=scored,
        log=log,
        answers=answers,
        threshold=_threshold(stored, columns, engine),
        is_binary=is_binary,
        negative=stored.parameters.classes[0] if is_binary else None,
        positive=stored.parameters.classes[-1] if is_binary else None,
    )
    for batch in warehouse.stream(sql, batch_rows=_BATCH_ROWS):
        yield from batch.to_pylist()


def _threshold(stored: StoredVersion, columns: dict[str, str], engine: str) -> str:
    """Return the threshold of a line as SQL: the logged one, or that of the version's training."""
    is_logged = "threshold" in {name.lower() for name in columns} and "threshold" not in {
        column.name.lower() for column in stored.parameters.inputs
    }
    otherwise = float(stored.facts.get("threshold", 0.5))
    return statement(__package__, "threshold.sql", engine, is_logged=is_logged, otherwise=otherwise)


def _with_difference(row: dict[str, Any]) -> dict[str, Any]:
    logged, replayed = row["logged_score"], row["replayed_score"]
    difference = None if logged is None or replayed is None else replayed - logged
    first = {name: row[name] for name in ("alias", "request_id", "requested_at", "logged_score", "replayed_score")}
    return {
        **first,
        "difference": difference,
        "logged_prediction": row["logged_prediction"],
        "replayed_prediction": row["replayed_prediction"],
    }


def window_of(warehouse: Warehouse, catalog: Catalog, model: str, at: dt.datetime) -> tuple[dt.datetime, dt.datetime]:
    """Return the start and end of the window that an instant lies in, as the evaluations of a model cut time.

    Raises
    ------
    DefinitionError
        If no evaluation of the model has windows, or two have other ones.
    """
    evaluations = [
        node for node in catalog.of_kind("evaluation") if str(node.config.get("model", "")).lower() == model.lower()
    ]
    periods = {node.place: str(node.config.get("window", "all")) for node in evaluations}
    found = {period for period in periods.values() if period != "all"}
    if len(found) != 1:
        raise DefinitionError(
            f"{model} has no evaluation with windows"
            if not found
            else f"the evaluations of {model} have windows of different length",
            has=[f"{place}: {period}" for place, period in periods.items()],
            hint="say both ends: --since 2013-06-03 --until 2013-06-10, or --all",
        )
    sql = statement(__package__, "window.sql", warehouse.engine, period=found.pop())
    row = warehouse.fetch(sql, {"at": at}).to_pylist()[0]
    return row["window_start"], row["window_end"]


def refuse_empty(model: str, done: list[ReplayedVersion], since: dt.datetime | None, until: dt.datetime | None) -> None:
    """Refuse a period without a single answer: nothing was proven of it.

    Raises
    ------
    DataError
        Naming the period.
    """
    if not done:
        ends = f" from {since:%Y-%m-%d}" if since else ""
        ends += f" up to {until:%Y-%m-%d}" if until else ""
        raise DataError(
            f"no request of {model} was answered{ends}",
            place=str(log_of(model)),
            hint='see: wml query "select min(requested_at), max(requested_at) from wml.request_log"',
        )
