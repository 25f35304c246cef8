"""Logged answers scored again, from the features in the log: by the version's own statement, or from its parameters."""

from __future__ import annotations

import datetime as dt
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from warehouse_ml.errors import DataError
from warehouse_ml.registry import Registry, StoredVersion, Version
from warehouse_ml.requests.native import asked_there
from warehouse_ml.requests.predict import REQUEST_COLUMNS, log_of
from warehouse_ml.scoring import check_columns, score_arrow
from warehouse_ml.scoring.native import NativeParameters
from warehouse_ml.scoring.parity import TOLERANCE
from warehouse_ml.templates import statement
from warehouse_ml.warehouses.base import Warehouse

__all__ = [
    "Again",
    "Logged",
    "Way",
    "answered_there",
    "asked",
    "decision",
    "features_of",
    "is_close",
    "score_again",
    "stored_of",
    "ulps",
    "way_of",
]

Way = Literal["sql", "arrays", "ml.predict"]
"""By a statement of the version's own, from its parameters, or by BigQuery ML, which alone has those it learned."""


@dataclass(frozen=True)
class Logged:
    """Lines of a model's log.

    Parameters
    ----------
    version : int
        Whose answers.
    request_id : str, optional
        Only the answer to this request.
    since, until : datetime, optional
        Only those to requests made from ``since`` up to ``until``.
    """

    version: int
    request_id: str | None = None
    since: dt.datetime | None = None
    until: dt.datetime | None = None


@dataclass(frozen=True)
class Again:
    """An answer scored again in one way.

    Parameters
    ----------
    version : int
    how : {'sql', 'arrays', 'ml.predict'}
    score : float
    prediction : str or None
    """

    version: int
    how: Way
    score: float
    prediction: str | None


def stored_of(registry: Registry, model: str, number: int) -> StoredVersion:
    """Return a version that is named in a log, every byte of it checked.

    Raises
    ------
    DataError
        If its folder is gone.
    ArtifactError
        If it is not what was published.
    """
    known: list[Version] = [version for version in registry.versions() if version.model.lower() == model.lower()]
    for version in known:
        if version.version == number:
            return registry.load(version)
    raise DataError(
        f"version {number} of {model} answered, and its folder is gone",
        place=str(registry.root / model / str(number)),
        has=[str(version.version) for version in known],
        hint="restore the folder from a backup: an answer is replayed by the version that gave it",
    )


def features_of(stored: StoredVersion, columns: Mapping[str, str], place: str) -> list[str]:
    """Return the columns of a log that a version reads, as the log writes them.

    Raises
    ------
    DataError
        Naming every column that the log lacks, or the first of another type.
    """
    written = {name.lower(): name for name in columns}
    inputs = [column for column in stored.parameters.inputs if column.name.lower() not in REQUEST_COLUMNS]
    missing = [column.name for column in inputs if column.name.lower() not in written]
    if missing:
        raise lacking(stored, missing, place)
    check_columns(inputs, columns, place=place)
    return [written[column.name.lower()] for column in inputs]


def lacking(stored: StoredVersion, missing: list[str], place: str) -> DataError:
    """Return the error that features of a version were not logged."""
    version = f"{stored.version.model}@{stored.version.version}"
    return DataError(
        f"{version} reads what was not logged with the answer: {', '.join(missing)}",
        place=place,
        hint="a version is replayed from logged features alone: choose one that reads the same, or let it answer "
        "the requests itself",
    )


def asked(warehouse: Warehouse, model: str, answers: Logged, features: list[str]) -> str:
    """Return the query of what was asked: request_id, requested_at and the features as logged."""
    return statement(__package__, "asked.sql", warehouse.engine, log=log_of(model), answers=answers, features=features)


def has_statement(stored: StoredVersion) -> bool:
    """Whether the version keeps its prediction as SQL; one that is too large for a statement keeps a comment."""
    return not stored.stored_sql.lstrip().startswith("--")


def way_of(stored: StoredVersion, engine: str) -> Way:
    """Return how the version answers."""
    if stored.native is not None:
        return "ml.predict"
    return "sql" if stored.path(engine=engine) == "sql" and has_statement(stored) else "arrays"


def answered_there(warehouse: Warehouse, stored: StoredVersion, native: NativeParameters, source: str) -> str:
    """Return the query of what BigQuery ML says to the rows of a query: request_id, score and prediction among others.

    Raises
    ------
    DefinitionError
        If the warehouse is not BigQuery.
    """
    features = [column.name for column in native.inputs if column.name.lower() not in REQUEST_COLUMNS]
    return asked_there(warehouse, stored.version, native, features, source)


def score_again(warehouse: Warehouse, stored: StoredVersion, source: str, threshold: float) -> list[Again]:
    """Score one request in each way that the version has.

    Parameters
    ----------
    warehouse : Warehouse
    stored : StoredVersion
    source : str
        The query of one row, see ``asked``.
    threshold : float
        Of a binary model.
    """
    number = stored.version.version
    found = []
    if stored.native is not None:
        (row,) = warehouse.fetch(answered_there(warehouse, stored, stored.native, source)).to_pylist()
        prediction = decision(stored, row["score"], row["prediction"], threshold)
        return [Again(number, "ml.predict", row["score"], prediction)]
    if has_statement(stored):
        scoring = stored.scoring_on(warehouse.engine)
        sql = statement("warehouse_ml.requests", "score.sql", warehouse.engine, source=source, scoring=scoring)
        (row,) = warehouse.fetch(sql).to_pylist()
        found.append(Again(number, "sql", row["score"], decision(stored, row["score"], row["prediction"], threshold)))
    reader = score_arrow(warehouse, stored.parameters, source, keep=REQUEST_COLUMNS[:1], threshold=threshold)
    (row,) = reader.read_all().to_pylist()
    found.append(Again(number, "arrays", row["score"], row["prediction"]))
    return found


def decision(stored: StoredVersion, score: float, prediction: str | None, threshold: float) -> str | None:
    """Return what a score means at a threshold; what the version itself says where none applies."""
    classes = stored.parameters.classes
    return classes[int(score >= threshold)] if stored.parameters.task == "binary" else prediction


def same_bits(one: float, other: float) -> bool:
    """Whether two doubles are the same, -0.0 and 0.0 told apart; NaN is NaN, whatever its bits."""
    return struct.pack("<d", one) == struct.pack("<d", other) or (math.isnan(one) and math.isnan(other))


def ulps(one: float, other: float) -> int | None:
    """Return how many doubles lie from one to the other, 0 for the same; None if either is NaN."""
    if math.isnan(one) or math.isnan(other):
        return None

    def place(value: float) -> int:
        bits: int = struct.unpack("<q", struct.pack("<d", value))[0]
        return bits if bits >= 0 else -(bits & 0x7FFFFFFFFFFFFFFF) - 1

    return abs(place(one) - place(other))


def is_close(one: float, other: float) -> bool:
    """Whether two scores differ by no more than the two ways of one version may."""
    return abs(one - other) <= TOLERANCE * max(abs(one), 1.0)
