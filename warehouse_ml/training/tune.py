"""Tune hyperparameters: fit one model a trial, compare them on the rows held out, keep the best.

Rows are read and preprocessing is fitted once; trials run one after another. The best trial is the one whose
objective is best on the rows to evaluate on, the earliest of equal ones; only its parameters are proven to score as
its estimator does, and only it becomes a version. A trial that an earlier run of the same search brought to its end is
taken over from there: it is fitted again only if it is the best one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from warehouse_ml.definition import ModelDefinition
from warehouse_ml.errors import DataError, DefinitionError, SqlError, StorageError, WmlError, did_you_mean
from warehouse_ml.hparams import MAXIMISED, OBJECTIVES, Tuning
from warehouse_ml.scoring.features import FittedFeature
from warehouse_ml.scoring.parameters import Parameters
from warehouse_ml.training.estimators import Fitted
from warehouse_ml.training.fit import FitResult, Prepared, fit_prepared, prepare, prove
from warehouse_ml.training.holdout import measure_held_out
from warehouse_ml.training.rows import ROW_HASH, SPLIT, TRAINING_ROWS, RowSummary
from warehouse_ml.training.search import Search
from warehouse_ml.training.transform import FittedTransform
from warehouse_ml.training.trials import FAILED, SUCCEEDED, Trial, point_of
from warehouse_ml.warehouses.base import Warehouse

__all__ = ["FAILED", "SUCCEEDED", "Trial", "tune"]

# The mean over classes is what BigQuery ML's metrics are for more than two of them.
_MULTICLASS = {
    "accuracy": "accuracy",
    "precision": "precision_macro",
    "recall": "recall_macro",
    "f1_score": "f1_macro",
}
_DIGITS = 4


@dataclass(frozen=True)
class _Objective:
    """The metric to tune for: its name in CREATE MODEL, its name among the measured ones, and which way is better."""

    name: str
    metric: str
    sign: float

    def score(self, metrics: Mapping[str, float | None]) -> float | None:
        value = metrics.get(self.metric)
        return None if value is None else self.sign * value


def tune(
    warehouse: Warehouse,
    features: Sequence[FittedFeature],
    definition: ModelDefinition,
    rows: RowSummary,
    *,
    threshold: float,
    trials: list[Trial],
    say: Callable[[str], None],
    transformed: FittedTransform | None = None,
    known: Mapping[str, Trial] | None = None,
    on_trial: Callable[[Trial], None] | None = None,
) -> FitResult:
    """Return the best model of a tuning.

    Parameters
    ----------
    warehouse : Warehouse
        With the rows in ``TRAINING_ROWS``.
    features : sequence of FittedFeature
        As ``fit_preprocessing`` gives them.
    definition : ModelDefinition
        With its tuning.
    rows : RowSummary
    threshold : float
        In [0, 1]; from which probability on a row counts as positive.
    trials : list of Trial
        Filled as trials end, so that they are known even if the tuning fails.
    say : callable
        Told how each trial did.
    transformed : FittedTransform, optional
        The TRANSFORM whose features these are.
    known : mapping of str to Trial, optional
        Trials of an earlier run of the same search, by ``point_of``.
    on_trial : callable, optional
        Given each trial as it ends.

    Returns
    -------
    FitResult
        Its facts hold the options of the best trial (``options``), what was tuned for (``tuning``) and the trials.

    Raises
    ------
    DataError
        If no rows are held out, rows cannot be trained on, or every trial failed.
    DefinitionError
        If the objective is not measured for this label.
    ArtifactError
        If the best model's parameters do not score as its estimator does.
    """
    tuning = definition.tuning
    assert tuning is not None
    _need_rows(definition, rows)
    prepared = prepare(
        warehouse,
        TRAINING_ROWS,
        features,
        model_type=definition.model_type,
        label=definition.label,
        weight_column=definition.weight_column,
        options=definition.options,
        split_column=SPLIT,
        order_by=ROW_HASH,
        transformed=transformed,
        place=definition.place,
    )
    objective = _objective(tuning, prepared.shape, definition.place)
    search = Search(tuning, definition.options)
    best: tuple[float, Fitted | None, int] | None = None
    tried: list[tuple[dict[str, Any], float | None]] = []
    n_trials = int(min(tuning.n_trials, search.size))
    while len(tried) < n_trials and (point := search.propose(tried)) is not None:
        number = len(trials) + 1
        fitted: Fitted | None = None
        trial = _taken_over(known or {}, point, objective, number)
        if trial is None:
            trial, fitted = _run(warehouse, prepared, definition, point, objective, rows.n_eval, threshold, number)
        trials.append(trial)
        if on_trial:
            on_trial(trial)
        score = objective.score(trial.metrics)
        tried.append((point, score))
        if score is not None and (best is None or score > best[0]):
            best = (score, fitted, len(trials) - 1)
        say(f"trial {trial.trial_id} of {n_trials}: {_told(trial)}")
    if best is None:
        raise DataError(
            f"all {len(trials)} trials failed; the first: {trials[0].error_message}",
            place=definition.place,
            hint="wml query \"select * from wml.trials where status = 'FAILED'\" lists them",
        )
    _, fitted, index = best
    trials[index] = replace(trials[index], is_optimal=True)
    if fitted is None:
        say("fitting the best trial again")
        fitted = fit_prepared(prepared, {**definition.options, **tried[index][0]})
    result = prove(warehouse, TRAINING_ROWS, prepared, fitted, order_by=ROW_HASH)
    chosen = {name.upper(): value for name, value in trials[index].hyperparameters.items()}
    return replace(
        result,
        warnings=[*tuning.warnings, *_warnings(tuning, search, trials), *result.warnings],
        facts={
            "options": {**definition.options, **chosen},
            "tuning": {
                "algorithm": tuning.algorithm,
                "objective": objective.name,
                "num_trials": tuning.n_trials,
                "hyperparameters": [name.lower() for name in tuning.space],
            },
            "trials": [trial.fact() for trial in trials],
        },
    )


def _run(
    warehouse: Warehouse,
    prepared: Prepared,
    definition: ModelDefinition,
    point: Mapping[str, Any],
    objective: _Objective,
    n_eval: int,
    threshold: float,
    trial_id: int,
) -> tuple[Trial, Fitted | None]:
    """Fit and measure one model; what forbids one point is told of it and stops no other."""
    began = time.perf_counter()
    fitted, error = None, None
    metrics: Mapping[str, float | None] = {}
    try:
        fitted = fit_prepared(prepared, {**definition.options, **point})
        metrics = measure_held_out(warehouse, fitted.parameters, n_eval, threshold)
    except (StorageError, SqlError):
        # Neither hangs on the point: a TRANSFORM that fails on a row fails in every trial.
        raise
    except Exception as caught:
        # Whatever a library says of numbers that it cannot work with: the other points may be better ones.
        error = caught.what if isinstance(caught, WmlError) else f"{type(caught).__name__}: {caught}".splitlines()[0]
    value = metrics.get(objective.metric)
    if error is None and value is None:
        error = f"{objective.name} has no value on the {n_eval:,} rows held out"
    last = fitted.training_info[-1] if fitted is not None and fitted.training_info else {}
    trial = Trial(
        trial_id=trial_id,
        hyperparameters={name.lower(): value for name, value in point.items()},
        objective={objective.name: value},
        metrics=metrics,
        training_loss=last.get("loss"),
        eval_loss=last.get("eval_loss"),
        status=SUCCEEDED if error is None else FAILED,
        error_message=error,
        duration_seconds=time.perf_counter() - began,
    )
    return trial, fitted


def _taken_over(
    known: Mapping[str, Trial], point: Mapping[str, Any], objective: _Objective, trial_id: int
) -> Trial | None:
    """Return the trial that an earlier run made of this point, if it has a value of what is tuned for."""
    found = known.get(point_of({name.lower(): value for name, value in point.items()}))
    value = found.metrics.get(objective.metric) if found else None
    if found is None or value is None:
        return None
    return replace(found, trial_id=trial_id, objective={objective.name: value}, is_optimal=False)


def _need_rows(definition: ModelDefinition, rows: RowSummary) -> None:
    if rows.n_eval:
        return
    hints = {
        "AUTO_SPLIT": "auto_split holds out none of fewer than 500: use data_split_method = 'random'",
        "CUSTOM": f"mark some with EVAL in {definition.split.column}",
    }
    raise DataError(
        f"none of {rows.n_rows:,} rows is held out, and trials are compared on those",
        place=definition.place,
        hint=hints.get(definition.split.method, "raise data_split_eval_fraction"),
    )


def _objective(tuning: Tuning, shape: Parameters, place: str) -> _Objective:
    known = OBJECTIVES[shape.model_type]
    if shape.task != "multiclass":
        name = tuning.objective or known[0]
        return _Objective(name, name, 1.0 if name in MAXIMISED else -1.0)
    name = tuning.objective or "accuracy"
    if name not in _MULTICLASS:
        raise DefinitionError(
            f'{name} is not measured for the {len(shape.classes)} classes of "{shape.label}"',
            place=place,
            has=list(_MULTICLASS),
            hint=did_you_mean(name, list(_MULTICLASS)) or "hparam_tuning_objectives = ['accuracy']",
        )
    return _Objective(name, _MULTICLASS[name], 1.0)


def _told(trial: Trial) -> str:
    values = ", ".join(f"{name} {_short(value)}" for name, value in trial.hyperparameters.items())
    if trial.status == FAILED:
        return f"{values}: failed, {trial.error_message}"
    ((name, found),) = trial.objective.items()
    earlier = ", from the run before" if trial.taken_from else ""
    return f"{values}: {name} {_short(found)}{earlier}"


def _short(value: object) -> str:
    return f"{value:.{_DIGITS}g}" if isinstance(value, float) else str(value).lower()


def _warnings(tuning: Tuning, search: Search, trials: Sequence[Trial]) -> list[str]:
    told = []
    if tuning.algorithm == "GRID_SEARCH" and search.size > tuning.n_trials:
        told.append(
            f"the grid has {int(search.size):,} points, of which the first {tuning.n_trials} were tried: "
            "raise num_trials, or use another hparam_tuning_algorithm"
        )
    elif len(trials) < tuning.n_trials:
        told.append(f"{len(trials)} trials of num_trials = {tuning.n_trials}: there are no more points to try")
    failed = [trial for trial in trials if trial.status == FAILED]
    if failed:
        told.append(f"{len(failed)} of {len(trials)} trials failed; the first: {failed[0].error_message}")
    return told
