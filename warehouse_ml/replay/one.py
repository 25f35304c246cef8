"""One old decision: scored again, explained, and compared with what another version would have said."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from warehouse_ml.catalog import Catalog
from warehouse_ml.errors import WmlError
from warehouse_ml.registry import Registry, StoredVersion
from warehouse_ml.replay.again import (
    Again,
    Logged,
    asked,
    features_of,
    is_close,
    lacking,
    same_bits,
    score_again,
    stored_of,
    ulps,
    way_of,
)
from warehouse_ml.replay.answers import Answer, answers_of, log_columns
from warehouse_ml.replay.explanation import Explanation, explanation_of
from warehouse_ml.replay.native import explanation_there
from warehouse_ml.replay.provenance import Provenance, provenance_of
from warehouse_ml.requests.predict import REQUEST_COLUMNS, log_of
from warehouse_ml.warehouses.base import Warehouse

__all__ = ["Replay", "Replayed", "replay"]


@dataclass(frozen=True)
class Replay:
    """An answer scored again in one way, beside the logged one.

    Parameters
    ----------
    again : Again
    is_same : bool
        Whether every bit of the score, and the prediction, are as logged.
    difference : float
        Score less the logged score.
    ulps : int or None
        How many doubles lie between the two; None where one is not a number.
    """

    again: Again
    is_same: bool
    difference: float
    ulps: int | None


@dataclass(frozen=True)
class Other:
    """What another version says to the same request.

    Parameters
    ----------
    version : int
    logged : Answer or None
        What it said then, if it was asked.
    again : tuple of Again
        What it says to the features that were logged.
    is_flip : bool
        Whether its prediction is another; False for a regression.
    difference : float
        Its score less that of the answer.
    """

    version: int
    logged: Answer | None
    again: tuple[Again, ...]
    is_flip: bool
    difference: float


@dataclass(frozen=True)
class Replayed:
    """An old decision.

    Parameters
    ----------
    answer : Answer
        The one that counted, or that of the version asked for.
    threshold : float or None
        At which it was made; None where none applies.
    is_threshold_logged : bool
        Else it is that of the version's training.
    features : mapping of str to object
        What the version read, as logged.
    replays : tuple of Replay
        By the version's statement, if it keeps one, and from its parameters; or else by BigQuery ML, which has them.
    explanation : Explanation
    provenance : Provenance or None
        None where an earlier release kept no definition.
    definition : str
        Where the definition that the version was trained on is: a file.
    others : tuple of Answer
        What other versions said to the same request.
    other : Other or None
        The version that is compared.
    """

    answer: Answer
    threshold: float | None
    is_threshold_logged: bool
    features: dict[str, Any]
    replays: tuple[Replay, ...]
    explanation: Explanation
    provenance: Provenance | None
    definition: str
    others: tuple[Answer, ...] = ()
    other: Other | None = field(default=None)

    @property
    def is_same(self) -> bool:
        """Whether one way gives the logged answer bit for bit, and the other decides alike.

        One of the two ways gave the answer. The other adds in the same order; only its exponential may come from
        another library, which may differ in the last bit on another processor.
        """
        return any(replay.is_same for replay in self.replays) and all(
            replay.again.prediction == self.answer.prediction and is_close(self.answer.score, replay.again.score)
            for replay in self.replays
        )


def replay(
    warehouse: Warehouse,
    registry: Registry,
    request_id: str,
    *,
    model: str | None = None,
    version: str | None = None,
    catalog: Catalog | None = None,
    most_trees: int = 3,
) -> Replayed:
    """Replay the answer to one request.

    Parameters
    ----------
    warehouse : Warehouse
        May be open for reading alone; nothing is changed.
    registry : Registry
    request_id : str
    model : str, optional
        Whose request it is; needed where requests of several models have the id.
    version : str, optional
        Another version to be compared, by number or alias.
    catalog : Catalog, optional
        The project's files as they are now, if they can be read; no decision depends on them.
    most_trees : int
        How many paths through trees are told.

    Returns
    -------
    Replayed

    Raises
    ------
    DataError
        If there is no such request, or the log lacks what a version reads.
    VersionNotFoundError
        If there is no such other version.
    ArtifactError
        If a stored version is not what was published.
    """
    answers = answers_of(warehouse, request_id, model)
    stored = stored_of(registry, answers[0].model, answers[0].version)
    answer = answers[0] = _without_features(answers[0], stored)
    columns = log_columns(warehouse, answer.model)
    place = str(log_of(answer.model))
    features = features_of(stored, columns, place)
    source = asked(warehouse, answer.model, Logged(answer.version, request_id), features)
    threshold = threshold_of(answer, stored)
    again = score_again(warehouse, stored, source, threshold)
    other = None
    if version is not None:
        wanted = registry.load(registry.get(registry.name_of(answer.model), version))
        other = _other(warehouse, registry, answers, wanted, threshold, columns)
    is_binary = stored.parameters.task == "binary"
    return Replayed(
        answer=answer,
        threshold=threshold if is_binary else None,
        is_threshold_logged=answer.threshold is not None,
        features={name: answer.features[name] for name in features},
        replays=tuple(_beside(answer, one) for one in again),
        explanation=explanation_of(warehouse, stored.parameters, source, most_trees=most_trees)
        if stored.native is None
        else explanation_there(warehouse, stored.native, source),
        provenance=provenance_of(warehouse, catalog, answer),
        definition=str(registry.root / stored.version.artifact_uri / "definition.sql"),
        others=tuple(answers[1:]),
        other=other,
    )


def _without_features(answer: Answer, stored: StoredVersion) -> Answer:
    """Return an answer in which a feature is not taken for a column of the log that came later under its name."""
    features = {name.lower() for name in _inputs(stored)}
    return dataclasses.replace(
        answer,
        threshold=None if "threshold" in features else answer.threshold,
        definition_hash=None if "definition_hash" in features else answer.definition_hash,
    )


def threshold_of(answer: Answer, stored: StoredVersion) -> float:
    """Return the threshold that an answer was made at; that of the version's training if the log does not say."""
    return float(stored.facts.get("threshold", 0.5)) if answer.threshold is None else answer.threshold


def _beside(answer: Answer, again: Again) -> Replay:
    is_same = same_bits(answer.score, again.score) and answer.prediction == again.prediction
    return Replay(again, is_same, again.score - answer.score, ulps(answer.score, again.score))


def _other(
    warehouse: Warehouse,
    registry: Registry,
    answers: list[Answer],
    wanted: StoredVersion,
    threshold: float,
    columns: dict[str, str],
) -> Other:
    answer = answers[0]
    place = str(log_of(answer.model))
    features = features_of(wanted, columns, place)
    logged = next((one for one in answers if one.version == wanted.version.version), None)
    row = logged or _row_with(registry, answers, wanted)
    source = asked(warehouse, answer.model, Logged(row.version, answer.request_id), features)
    if logged is not None:
        threshold = threshold_of(_without_features(logged, wanted), wanted)
    again = tuple(score_again(warehouse, wanted, source, threshold))
    own = again[0] if way_of(wanted, warehouse.engine) == "sql" else again[-1]
    return Other(
        version=wanted.version.version,
        logged=logged,
        again=again,
        is_flip=own.prediction != answer.prediction,
        difference=own.score - answer.score,
    )


def _row_with(registry: Registry, answers: list[Answer], wanted: StoredVersion) -> Answer:
    """Return the first answer whose line has what a version reads: a line lacks what its own version does not read."""
    needs = _inputs(wanted)
    missing: list[str] = []
    for answer in answers:
        try:
            there = {name.lower() for name in _inputs(stored_of(registry, answer.model, answer.version))}
        except WmlError:
            # A version that is gone or changed cannot say what it read.
            continue
        lacks = [name for name in needs if name.lower() not in there]
        if not lacks:
            return answer
        missing = missing or lacks
    raise lacking(wanted, missing, str(log_of(answers[0].model)))


def _inputs(stored: StoredVersion) -> list[str]:
    return [column.name for column in stored.parameters.inputs if column.name.lower() not in REQUEST_COLUMNS]
