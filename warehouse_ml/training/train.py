"""Train a model: read its rows, fit, prove the scoring SQL, publish a version, and say who serves."""

from __future__ import annotations

import datetime as dt
import json
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from warehouse_ml.catalog import Catalog, Clock, Node
from warehouse_ml.commits import git_state
from warehouse_ml.definition import ModelDefinition, read_definition
from warehouse_ml.errors import WmlError
from warehouse_ml.functions import Context
from warehouse_ml.lint import lint, lint_rows
from warehouse_ml.registry import CHALLENGER, CHAMPION, Alias, Registry, StoredVersion, Version
from warehouse_ml.tables import run_file
from warehouse_ml.training.content import content_of
from warehouse_ml.training.environment import describe_environment
from warehouse_ml.training.fit import SEED, FitResult
from warehouse_ml.training.holdout import Verdict, compare_with_champion, measure_held_out
from warehouse_ml.training.learn import learn
from warehouse_ml.training.preprocessing import EVAL, TEST
from warehouse_ml.training.rows import RowSummary, read_training_rows
from warehouse_ml.training.tune import Trial, record_trials
from warehouse_ml.warehouses.base import Warehouse

__all__ = ["PROMOTIONS", "Subject", "Trained", "subject_of", "train"]

PROMOTIONS = ("better", "always", "never")
"""When a new version becomes champion: if it is no worse on the rows held out, whatever it is, or not by itself."""


@dataclass(frozen=True)
class Subject:
    """What is to be trained.

    Parameters
    ----------
    definition : ModelDefinition
    definition_hash : str
        Of the definition with all that it reads.
    config : mapping
        What the model's file says in ``config(...)``.
    root : Path
        The project's folder, whose commit is noted.
    """

    definition: ModelDefinition
    definition_hash: str
    config: Mapping[str, Any]
    root: Path


@dataclass(frozen=True)
class Trained:
    """What a training came to.

    Parameters
    ----------
    version : Version
        The new version, or the one that is there already for the same definition and rows.
    is_new : bool
    alias : str or None
        What the version is called now.
    reason : str
        Why it is called that, or why nothing was trained.
    n_train, n_eval : int
    seconds : float
    warnings : list of str
    """

    version: Version
    is_new: bool
    alias: str | None
    reason: str
    n_train: int
    n_eval: int
    seconds: float
    warnings: list[str] = field(default_factory=list)


def subject_of(catalog: Catalog, node: Node, as_of: dt.datetime) -> Subject:
    """Return a model of the project, its definition rendered at a clock."""
    source = catalog.source_text(node, Clock(as_of))
    definition = read_definition(source.text, name=node.name, place=node.place, source=source)
    return Subject(definition, catalog.definition_hash(node), node.config, catalog.project.root)


def train(
    warehouse: Warehouse,
    registry: Registry,
    model: str,
    read: Callable[[], Subject],
    as_of: dt.datetime,
    *,
    force: bool = False,
    promote: str = "better",
    guard: Callable[[Version, Version], str | None] | None = None,
    on_step: Callable[[str], None] | None = None,
) -> Trained:
    """Train a model at a clock and publish it as a version.

    Parameters
    ----------
    warehouse : Warehouse
        The relations that the model reads must be built.
    registry : Registry
    model : str
        Its name.
    read : callable
        Returns what is to be trained; what it raises is recorded as a failed run.
    as_of : datetime
        The clock.
    force : bool
        Train even if the same definition was trained on the same rows before.
    promote : str
        One of ``PROMOTIONS``.
    guard : callable, optional
        Given the new version and the champion, before the new one takes over: returns why it must not, or None.
    on_step : callable, optional
        Told what is being done.

    Returns
    -------
    Trained

    Raises
    ------
    WmlError
        If anything forbids a version. The run is recorded as failed, and nothing else is left behind.
    """
    training = _Training(warehouse, registry, model, as_of, on_step or (lambda _: None))
    try:
        trained = training.run(read(), force=force, promote=promote, guard=guard)
    except BaseException as error:
        training.record("failed", error.what if isinstance(error, WmlError) else type(error).__name__, None)
        raise
    if trained.is_new:
        training.record("finished", None, trained.version)
    return trained


class _Training:
    """One training, and what is kept of it even when it fails."""

    def __init__(
        self, warehouse: Warehouse, registry: Registry, model: str, as_of: dt.datetime, say: Callable[[str], None]
    ) -> None:
        self._warehouse, self._registry, self._model, self._as_of, self._say = warehouse, registry, model, as_of, say
        self._began = time.perf_counter()
        self._run = {"run_id": uuid.uuid4().hex, "model": model, "as_of": as_of, "started_at": dt.datetime.now(dt.UTC)}
        self._trials: list[Trial] = []
        self._options: Mapping[str, Any] = {}

    def run(
        self,
        subject: Subject,
        *,
        force: bool,
        promote: str,
        guard: Callable[[Version, Version], str | None] | None,
    ) -> Trained:
        definition = subject.definition
        traps = [str(finding) for finding in lint(definition, subject.config)]
        self._say("reading the training rows")
        rows = read_training_rows(Context(self._warehouse, self._registry, self._as_of), definition)
        same = None if force else self._same(subject.definition_hash, rows.data_hash)
        # Rows that chose the best trial flatter it: if others were set aside, these measure the version.
        side, n_held_out = (TEST, rows.n_test) if definition.tuning and rows.n_test else (EVAL, rows.n_eval)
        if same is not None:
            alias, reason = self._complete(same, rows.n_rows, n_held_out, promote, side)
            return Trained(same, False, alias, reason, rows.n_train, rows.n_eval, 0.0, traps)
        threshold = float(subject.config.get("threshold", 0.5))
        result = learn(self._warehouse, definition, rows, threshold=threshold, trials=self._trials, say=self._say)
        result.warnings[:0] = [*traps, *_traps_of_rows(subject, rows, result)]
        self._options = result.facts.get("options", definition.options)
        self._say("scoring the rows held out")
        metrics = result.metrics
        if n_held_out:
            metrics = measure_held_out(self._warehouse, result.parameters, n_held_out, threshold, side=side)
        verdict = self._decide(result, metrics, n_held_out, promote, side)
        self._say("publishing the version")
        version = self._publish(subject, rows, result, metrics, threshold)
        if guard is not None and verdict.alias == CHAMPION and verdict.champion is not None:
            verdict = self._guarded(guard, version, verdict, verdict.champion)
        _write_aliases(self._registry, version, verdict, self._as_of)
        seconds = time.perf_counter() - self._began
        return Trained(
            version, True, verdict.alias, verdict.reason, rows.n_train, rows.n_eval, seconds, result.warnings
        )

    def record(self, status: str, error: str | None, version: Version | None) -> None:
        """Write down how the training ended, and each of its trials."""
        record_trials(self._warehouse, self._run, self._trials)
        run_file(
            self._warehouse,
            __package__,
            "record_run.sql",
            {
                **self._run,
                "status": status,
                "error": error,
                "version": version.version if version else None,
                "duration_seconds": time.perf_counter() - self._began,
                "options": json.dumps(dict(self._options) if version else {}, sort_keys=True, default=str),
                "metrics": json.dumps(dict(version.metrics) if version else {}, sort_keys=True),
                "n_rows": version.n_rows if version else None,
            },
        )

    def _same(self, definition_hash: str, data_hash: str) -> Version | None:
        for version in reversed(self._registry.versions(self._model)):
            if version.definition_hash == definition_hash and version.data_hash == data_hash:
                return version
        return None

    def _complete(self, same: Version, n_rows: int, n_held_out: int, promote: str, side: str) -> tuple[str | None, str]:
        """Return the alias that a version trained earlier gets now, and why; none if it was decided on before.

        Only a training that was killed between the version and the ledger, or was not to promote, left that open.
        """
        reason = f"the same definition was trained on the same {n_rows:,} rows already"
        is_open = not any((line.model, line.version) == (self._model, same.version) for line in self._registry.ledger())
        if promote == "never" or not is_open:
            return None, reason
        verdict = self._decide(self._registry.load(same), same.metrics, n_held_out, promote, side)
        _write_aliases(self._registry, same, verdict, self._as_of)
        return verdict.alias, f"{verdict.reason}; {reason}"

    def _decide(
        self,
        result: FitResult | StoredVersion,
        metrics: Mapping[str, float | None],
        n_held_out: int,
        promote: str,
        side: str,
    ) -> Verdict:
        champion = self._registry.holder(self._model, CHAMPION, self._as_of)
        if promote == "never":
            return Verdict(None, "promotion was not asked for", champion)
        if champion is None:
            return Verdict(CHAMPION, "the first version", None)
        if promote == "always":
            return Verdict(CHAMPION, "promoted without a comparison, as asked", champion)
        if not result.parameters.label:
            told = result.parameters.model_type.lower()
            reason = f"the newest serves: no rows are held out to compare versions of a {told} on"
            return Verdict(CHAMPION, reason, champion)
        return compare_with_champion(
            self._warehouse, result.parameters, metrics, n_held_out, self._registry.load(champion), side=side
        )

    def _guarded(
        self, guard: Callable[[Version, Version], str | None], version: Version, verdict: Verdict, champion: Version
    ) -> Verdict:
        # Whatever ends the asking, the version has a name by then, and does not serve.
        undecided = Verdict(CHALLENGER, "trained, before the rules were asked", champion)
        _write_aliases(self._registry, version, undecided, self._as_of)
        self._say("asking the rules about a promotion")
        refusal = guard(version, champion)
        return verdict if refusal is None else Verdict(CHALLENGER, f"refused: {refusal} ({verdict.reason})", champion)

    def _publish(
        self,
        subject: Subject,
        rows: RowSummary,
        result: FitResult,
        metrics: Mapping[str, float | None],
        threshold: float,
    ) -> Version:
        commit, is_dirty = git_state(subject.root)
        environment = {**describe_environment(SEED), "git_is_dirty": is_dirty}

        def describe(number: int) -> Version:
            return Version(
                model=self._model,
                version=number,
                created_at=dt.datetime.now(dt.UTC),
                as_of=self._as_of,
                definition_hash=subject.definition_hash,
                data_hash=rows.data_hash,
                artifact_uri="",
                artifact_hash="",
                git_commit=commit,
                model_type=subject.definition.model_type,
                n_rows=rows.n_rows,
                metrics=metrics,
                environment=environment,
            )

        keeps_rows = self._registry.keeps_rows(rows.n_rows)
        content = content_of(self._warehouse, subject.definition, rows, result, threshold, keeps_rows=keeps_rows)
        return self._registry.publish(describe, content)


def _traps_of_rows(subject: Subject, rows: RowSummary, result: FitResult) -> list[str]:
    found = lint_rows(
        subject.definition,
        subject.config,
        n_rows=rows.n_rows,
        n_train=rows.n_train,
        n_held_out_by_null=rows.n_held_out_by_null,
        n_categories={feature.name: len(feature.categories) for feature in result.parameters.features},
    )
    return [str(finding) for finding in found]


def _write_aliases(registry: Registry, version: Version, verdict: Verdict, as_of: dt.datetime) -> None:
    """Let the winner serve; the other one goes on scoring the same requests in the shadow, so that both compare."""
    if verdict.alias is None:
        return
    model, number = version.model, version.version
    lines = [Alias(model, verdict.alias, number, as_of, verdict.reason, action="train")]
    if verdict.alias == CHAMPION and verdict.champion is not None:
        was = verdict.champion.version
        told = f"champion until version {number} took over"
        lines.append(Alias(model, CHALLENGER, was, as_of, told, action="train"))
    registry.write_ledger(lines)
