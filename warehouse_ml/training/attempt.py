"""One fit of a definition on its rows, measured on those held out: what a training and a trial run have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from warehouse_ml.definition import ModelDefinition
from warehouse_ml.evaluation import Measured
from warehouse_ml.lint import lint, lint_rows
from warehouse_ml.training.fit import FitResult
from warehouse_ml.training.holdout import measured_held_out
from warehouse_ml.training.learn import learn
from warehouse_ml.training.optuna_search import need_optuna
from warehouse_ml.training.preprocessing import EVAL, TEST
from warehouse_ml.training.rows import RowSummary
from warehouse_ml.training.runs import HeldOut, RunLog, comparable_group
from warehouse_ml.training.subject import Subject
from warehouse_ml.training.trials import Trial, known_trials, search_hash
from warehouse_ml.warehouses.base import Warehouse

__all__ = ["Attempt", "attempt", "held_out_rows", "traps_of"]


@dataclass(frozen=True, eq=False)
class Attempt:
    """A fitted model with its metrics.

    Parameters
    ----------
    result : FitResult
    measures : mapping of str to Measured
        On the rows held out; empty without any.
    side : str
        ``eval`` or ``test``: which rows measured it.
    n_held_out : int
    threshold : float
        In [0, 1].
    held_out : HeldOut or None
        The same metrics, with the name of the rows; None without any.
    optimal_trial : int or None
        Of a tuning.
    notes : list of str
        What the user should know of this run; nothing of it belongs to the version.
    """

    result: FitResult
    measures: Mapping[str, Measured]
    side: str
    n_held_out: int
    threshold: float
    held_out: HeldOut | None
    optimal_trial: int | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def metrics(self) -> Mapping[str, float | None]:
        """Metrics by name: on the rows held out, or those of a model without a label."""
        if not self.measures:
            return self.result.metrics
        return {name: metric.value for name, metric in self.measures.items()}


def traps_of(subject: Subject) -> list[str]:
    """Return what a definition would be wrong about whatever its rows are."""
    return [str(finding) for finding in lint(subject.definition, subject.config)]


def held_out_rows(definition: ModelDefinition, rows: RowSummary) -> tuple[str, int]:
    """Return which rows measure a version, ``eval`` or ``test``, and how many there are."""
    # Rows that chose the best trial flatter it: if others were set aside, these measure the version.
    return (TEST, rows.n_test) if definition.tuning and rows.n_test else (EVAL, rows.n_eval)


def attempt(
    warehouse: Warehouse,
    subject: Subject,
    rows: RowSummary,
    log: RunLog,
    say: Callable[[str], None],
    *,
    is_fresh: bool = False,
) -> Attempt:
    """Fit a model on ``TRAINING_ROWS`` and measure it on those held out.

    Parameters
    ----------
    warehouse : Warehouse
    subject : Subject
    rows : RowSummary
    log : RunLog
        Written to when the fit begins, and as the trials of a tuning end.
    say : callable
        Told what is being done.
    is_fresh : bool
        Take no trial over from an earlier run.
    """
    definition, threshold = subject.definition, float(subject.config.get("threshold", 0.5))
    if definition.tuning and definition.tuning.algorithm == "OPTUNA_TPE":
        need_optuna(definition.place)
    of_sample = {"MAX_TRAINING_ROWS": rows.most} if rows.is_sample else {}
    log.learned(
        options={**definition.options, **of_sample},
        definition_hash=subject.definition_hash,
        data_hash=rows.data_hash,
        n_rows=rows.n_rows,
    )
    log.begin()
    trials: list[Trial] = []
    search = search_hash(subject.definition_hash, rows.data_hash) if definition.tuning else ""
    known = known_trials(warehouse, search) if definition.tuning and not is_fresh else {}
    result = learn(
        warehouse,
        definition,
        rows,
        threshold=threshold,
        trials=trials,
        say=say,
        known=known,
        on_trial=lambda trial: log.add(trial, search),
    )
    sampled = [rows.told()] if rows.is_sample else []
    result.warnings[:0] = [*sampled, *traps_of(subject), *_traps_of_rows(subject, rows, result)]
    log.learned(options={**result.facts.get("options", definition.options), **of_sample})
    side, n_held_out = held_out_rows(definition, rows)
    say("scoring the rows held out")
    measures: Mapping[str, Measured] = {}
    held_out = None
    if n_held_out:
        measures = measured_held_out(warehouse, result.parameters, n_held_out, threshold, side=side)
        task = result.parameters.task
        group = comparable_group(warehouse, definition, rows, task, side)
        held_out = HeldOut(task, result.parameters.label, group, measures)
    n_taken = sum(trial.taken_from is not None for trial in trials)
    told = f"{n_taken} of {len(trials)} trials were taken over from an earlier run of the same search"
    return Attempt(
        result=result,
        measures=measures,
        side=side,
        n_held_out=n_held_out,
        threshold=threshold,
        held_out=held_out,
        optimal_trial=next((trial.trial_id for trial in trials if trial.is_optimal), None),
        notes=[told] if n_taken else [],
    )


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
