"""What the request logs say of a request: who answered, what, and from which features."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from warehouse_ml.errors import DataError, DefinitionError, did_you_mean
from warehouse_ml.registry import CHAMPION, SERVING
from warehouse_ml.requests.predict import LOG_COLUMNS, log_of
from warehouse_ml.tables import all_of
from warehouse_ml.templates import statement
from warehouse_ml.warehouses.base import WML, Warehouse

__all__ = ["Answer", "answers_of", "log_columns", "logged_models"]

_LOG = "request_log_"
_SIMILAR = 2


@dataclass(frozen=True)
class Answer:
    """One line of a request log.

    Parameters
    ----------
    request_id, model : str
    version : int
    alias : str
        What the version was called when the request was made.
    requested_at, logged_at : datetime
        On the project's clock.
    score : float
    prediction : str or None
    threshold : float or None
        At which a binary model decided; None where none applied, or where an earlier release wrote the line.
    definition_hash : str or None
        Of the relation that held the request then; None where an earlier release wrote the line.
    features : mapping of str to object
        Every column of the line; the features of other versions are among them.
    """

    request_id: str
    model: str
    version: int
    alias: str
    requested_at: dt.datetime
    logged_at: dt.datetime
    score: float
    prediction: str | None
    threshold: float | None
    definition_hash: str | None
    features: Mapping[str, Any]

    @property
    def has_served(self) -> bool:
        """Whether somebody was given the answer; a challenger or candidate answers in the shadow."""
        return self.alias in SERVING


def logged_models(warehouse: Warehouse) -> list[str]:
    """Return the models that have a request log, in lower case."""
    return sorted(
        name.removeprefix(_LOG)
        for name, kind in warehouse.kinds(WML).items()
        if name.startswith(_LOG) and kind == "table"
    )


def log_columns(warehouse: Warehouse, model: str) -> dict[str, str]:
    """Return the columns of a model's request log and their types.

    Raises
    ------
    DataError
        If the model has no log.
    """
    known = logged_models(warehouse)
    if model.lower() not in known:
        raise DataError(
            f'the model "{model}" has no request log',
            has=known,
            hint=did_you_mean(model, known) or f"answer its requests first: wml predict {model}",
        )
    return warehouse.columns(all_of(warehouse, log_of(model)))


def answers_of(warehouse: Warehouse, request_id: str, model: str | None = None) -> list[Answer]:
    """Return every answer to a request, the one that counted first.

    Parameters
    ----------
    warehouse : Warehouse
    request_id : str
    model : str, optional
        Whose log is looked into; every log by default.

    Raises
    ------
    DataError
        If there is no such request, or no such log.
    DefinitionError
        If requests of several models have this id and no model is named.
    """
    if model is not None:
        log_columns(warehouse, model)
    models = logged_models(warehouse) if model is None else [model]
    found: dict[str, list[Answer]] = {}
    for name in models:
        sql = statement(__package__, "logged.sql", warehouse.engine, log=log_of(name))
        for row in warehouse.fetch(sql, {"request_id": request_id}).to_pylist():
            found.setdefault(name, []).append(_answer(row))
    if not found:
        raise _unknown(warehouse, request_id, models)
    if len(found) > 1:
        raise DefinitionError(
            f'requests of {len(found)} models are called "{request_id}"',
            has=sorted(found),
            hint=f"say which: --model {min(found)}",
        )
    (answers,) = found.values()
    return sorted(answers, key=lambda answer: (not answer.has_served, answer.alias != CHAMPION, answer.version))


def _answer(row: dict[str, Any]) -> Answer:
    own = {name.lower(): value for name, value in row.items()}
    threshold = own.get("threshold")
    definition_hash = own.get("definition_hash")
    return Answer(
        **{name: own[name] for name in LOG_COLUMNS[:8]},
        # A log of an earlier release may have a feature of that name.
        threshold=threshold if isinstance(threshold, float) else None,
        definition_hash=definition_hash if isinstance(definition_hash, str) else None,
        features=row,
    )


def _unknown(warehouse: Warehouse, request_id: str, models: list[str]) -> DataError:
    if not models:
        return DataError(
            f'no request "{request_id}": nothing was ever logged', hint="answer requests first: wml predict"
        )
    near: list[str] = []
    for name in models:
        sql = statement(__package__, "similar.sql", warehouse.engine, log=log_of(name), most=_SIMILAR)
        near += warehouse.fetch(sql, {"request_id": request_id})["request_id"].to_pylist()
    logs = ", ".join(str(log_of(name)) for name in models)
    return DataError(
        f'no request "{request_id}" in {logs}',
        has=near,
        hint=did_you_mean(request_id, near) or "the ids next to it in the order of text are shown; has it been scored?",
    )
