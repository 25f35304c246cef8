"""Train a model: read its rows, fit, prove the scoring SQL, publish a version, and say who serves."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from warehouse_ml.commits import git_state
from warehouse_ml.definition import ModelDefinition
from warehouse_ml.errors import WmlError
from warehouse_ml.functions import Context
from warehouse_ml.registry import CHALLENGER, CHAMPION, Alias, Registry, Version
from warehouse_ml.scoring.native import NativeParameters
from warehouse_ml.scoring.parameters import Parameters
from warehouse_ml.training.attempt import Attempt, attempt, held_out_rows, traps_of
from warehouse_ml.training.content import content_of
from warehouse_ml.training.environment import describe_environment
from warehouse_ml.training.fit import SEED
from warehouse_ml.training.holdout import Verdict, compare_with_champion
from warehouse_ml.training.native import (
    check_native,
    evaluate_native,
    is_native,
    native_content,
    read_native_rows,
)
from warehouse_ml.training.native_made import drop_left_overs, made_there
from warehouse_ml.training.rows import RowSummary, read_training_rows
from warehouse_ml.training.runs import FAILED, FINISHED, RunLog
from warehouse_ml.training.subject import Subject
from warehouse_ml.warehouses.base import Warehouse

__all__ = ["PROMOTIONS", "Guard", "Trained", "record_failure", "same_version", "train"]

Guard = Callable[[Version, Version], str | None]
"""Given a new version and the champion that it would replace; returns why it must not, or None."""

PROMOTIONS = ("better", "always", "never")
"""When a new version becomes champion: if it is no worse on the rows held out, whatever it is, or not by itself."""


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
    notes : list of str
        What is to be known of this run alone, such as what it took over from one that was stopped.
    """

    version: Version
    is_new: bool
    alias: str | None
    reason: str
    n_train: int
    n_eval: int
    seconds: float
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def train(
    warehouse: Warehouse,
    registry: Registry,
    model: str,
    read: Callable[[], Subject],
    as_of: dt.datetime,
    *,
    force: bool = False,
    promote: str = "better",
    guard: Guard | None = None,
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
        Train even if the same definition was trained on the same rows before, and every trial of a search anew.
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
    log = RunLog(warehouse, model, as_of)
    training = _Training(warehouse, registry, model, as_of, on_step or (lambda _: None), log)
    try:
        return training.run(read(), force=force, promote=promote, guard=guard)
    except BaseException as error:
        record_failure(log, error)
        raise


def record_failure(log: RunLog, error: BaseException) -> None:
    """Write down that a run failed, unless the warehouse is what failed."""
    told = error.what if isinstance(error, WmlError) else f"{type(error).__name__}: {error}".removesuffix(": ")
    with suppress(WmlError):
        log.end(FAILED, told.splitlines()[0])


class _Training:
    """One training."""

    def __init__(
        self,
        warehouse: Warehouse,
        registry: Registry,
        model: str,
        as_of: dt.datetime,
        say: Callable[[str], None],
        log: RunLog,
    ) -> None:
        self._warehouse, self._registry, self._model, self._as_of, self._say = warehouse, registry, model, as_of, say
        self._log = log

    def run(
        self,
        subject: Subject,
        *,
        force: bool,
        promote: str,
        guard: Guard | None,
    ) -> Trained:
        if is_native(subject.definition):
            return self._run_native(subject, force=force, promote=promote, guard=guard)
        self._say("reading the training rows")
        context = Context(self._warehouse, self._registry, self._as_of)
        rows = read_training_rows(context, subject.definition, subject.max_rows)
        same = None if force else same_version(self._registry, self._model, subject.definition_hash, rows.data_hash)
        if same is not None:
            alias, reason = self._complete(same, subject.definition, rows, promote, guard)
            return Trained(same, False, alias, reason, rows.n_train, rows.n_eval, 0.0, traps_of(subject))
        done = attempt(self._warehouse, subject, rows, self._log, self._say, is_fresh=force)
        verdict = self._decide(done.result.parameters, done.metrics, done.n_held_out, promote, done.side)
        self._say("publishing the version")
        version = self._publish(subject, rows, done)
        verdict = self._guarded(guard, version, verdict)
        _write_aliases(self._registry, version, verdict, self._as_of)
        self._log.end(
            FINISHED,
            version=version.version,
            metrics=version.metrics,
            held_out=done.held_out,
            optimal_trial=done.optimal_trial,
        )
        return Trained(
            version,
            True,
            verdict.alias,
            verdict.reason,
            rows.n_train,
            rows.n_eval,
            self._log.seconds,
            done.result.warnings,
            done.notes,
        )

    def _run_native(self, subject: Subject, *, force: bool, promote: str, guard: Guard | None) -> Trained:
        """Let BigQuery ML train the statement; a version of it is published when the model is there."""
        definition, threshold = subject.definition, float(subject.config.get("threshold", 0.5))
        check_native(definition, self._warehouse.engine, subject.target)
        self._say("counting the training rows")
        rows, asked = read_native_rows(Context(self._warehouse, self._registry, self._as_of), subject)
        same = None if force else same_version(self._registry, self._model, subject.definition_hash, rows.data_hash)
        traps = traps_of(subject)
        if same is not None:
            alias, reason = self._complete(same, definition, rows, promote, guard)
            return Trained(same, False, alias, reason, rows.n_rows, 0, 0.0, traps)
        self._log.learned(
            options=definition.options,
            definition_hash=subject.definition_hash,
            data_hash=rows.data_hash,
            n_rows=rows.n_rows,
        )
        self._log.begin()
        notes = drop_left_overs(self._warehouse, self._registry, definition.name)
        self._say(f"BigQuery ML trains {self._model}")
        with made_there(self._warehouse, self._registry, definition, rows, asked, self._as_of) as parameters:
            metrics = evaluate_native(self._warehouse, parameters, threshold)
            self._say("publishing the version")
            content = native_content(definition, rows, parameters, threshold, subject.files, traps)
            version = self._registry.publish(self._describe(subject, rows, metrics), content)
        verdict = self._decide(parameters, metrics, 0, promote, "")
        verdict = self._guarded(guard, version, verdict)
        _write_aliases(self._registry, version, verdict, self._as_of)
        self._log.end(FINISHED, version=version.version, metrics=version.metrics)
        return Trained(version, True, verdict.alias, verdict.reason, rows.n_rows, 0, self._log.seconds, traps, notes)

    def _complete(
        self, same: Version, definition: ModelDefinition, rows: RowSummary, promote: str, guard: Guard | None
    ) -> tuple[str | None, str]:
        """Return the alias that a version trained earlier gets now, and why; none if it was decided on before.

        Only a training that was killed between the version and the ledger, or was not to promote, left that open.
        """
        reason = f"the same definition was trained on the same {rows.n_rows:,} rows already"
        is_open = not any((line.model, line.version) == (self._model, same.version) for line in self._registry.ledger())
        if promote == "never" or not is_open:
            return None, reason
        side, n_held_out = held_out_rows(definition, rows)
        parameters = self._registry.load(same).parameters
        verdict = self._decide(parameters, same.metrics, n_held_out, promote, side)
        verdict = self._guarded(guard, same, verdict)
        _write_aliases(self._registry, same, verdict, self._as_of)
        return verdict.alias, f"{verdict.reason}; {reason}"

    def _decide(
        self,
        parameters: Parameters,
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
        if not parameters.label:
            told = parameters.model_type.lower()
            reason = f"the newest serves: no rows are held out to compare versions of a {told} on"
            return Verdict(CHAMPION, reason, champion)
        stored = self._registry.load(champion)
        if isinstance(parameters, NativeParameters) or stored.native is not None:
            reason = "not comparable: BigQuery ML holds rows of its own out; it is compared on the requests it answers"
            return Verdict(CHALLENGER, f"{reason}; promote it by hand if it is meant to serve", champion)
        return compare_with_champion(self._warehouse, parameters, metrics, n_held_out, stored, side=side)

    def _guarded(self, guard: Guard | None, version: Version, verdict: Verdict) -> Verdict:
        """Return the verdict after the rules about a promotion were asked, where one is meant."""
        champion = verdict.champion
        if guard is None or verdict.alias != CHAMPION or champion is None:
            return verdict
        # Whatever ends the asking, the version has a name by then, and does not serve.
        undecided = Verdict(CHALLENGER, "trained, before the rules were asked", champion)
        _write_aliases(self._registry, version, undecided, self._as_of)
        self._say("asking the rules about a promotion")
        refusal = guard(version, champion)
        return verdict if refusal is None else Verdict(CHALLENGER, f"refused: {refusal} ({verdict.reason})", champion)

    def _describe(
        self, subject: Subject, rows: RowSummary, metrics: Mapping[str, float | None]
    ) -> Callable[[int], Version]:
        """Return what tells of the version by its number."""
        commit, is_dirty = git_state(subject.root)
        environment = {**describe_environment(SEED), "git_is_dirty": is_dirty}
        if is_native(subject.definition):
            environment["trainer"] = "bigquery_ml"

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

        return describe

    def _publish(self, subject: Subject, rows: RowSummary, done: Attempt) -> Version:
        content = content_of(
            self._warehouse,
            subject.definition,
            rows,
            done.result,
            done.threshold,
            subject.files,
            keeps_rows=self._registry.keeps_rows(rows.n_rows),
        )
        return self._registry.publish(self._describe(subject, rows, done.metrics), content)


def same_version(registry: Registry, model: str, definition_hash: str, data_hash: str) -> Version | None:
    """Return the newest version of the same definition on the same rows, if there is one."""
    for version in reversed(registry.versions(model)):
        if version.definition_hash == definition_hash and version.data_hash == data_hash:
            return version
    return None


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
