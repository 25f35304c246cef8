"""The trials of a tuning as rows of ``wml.trials``: written as they end, found again by the next run of the search."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from warehouse_ml.tables import run_file
from warehouse_ml.templates import statement
from warehouse_ml.training.environment import describe_environment
from warehouse_ml.training.estimators import SEED
from warehouse_ml.warehouses.base import Warehouse

__all__ = ["FAILED", "SUCCEEDED", "Trial", "known_trials", "mark_optimal", "point_of", "record_trial", "search_hash"]

SUCCEEDED, FAILED = "SUCCEEDED", "FAILED"

# What a fit does not depend on.
_BESIDE_THE_FIT = ("pyarrow", "sqlglot")


@dataclass(frozen=True)
class Trial:
    """One model that was fitted, or could not be.

    Parameters
    ----------
    trial_id : int
        1, 2, 3 ... in the order run.
    hyperparameters : mapping
        By lower-case option.
    objective : mapping
        The one metric that decides, by the name it has in CREATE MODEL.
    metrics : mapping of str to float
        On the rows to evaluate on; empty if the model could not be fitted or scored.
    training_loss, eval_loss : float or None
        After the last iteration.
    status : str
        SUCCEEDED or FAILED.
    error_message : str or None
    duration_seconds : float
    is_optimal : bool
        Whether the version is this one.
    taken_from : str or None
        The run that fitted it, if it was not this one.
    """

    trial_id: int
    hyperparameters: Mapping[str, Any]
    objective: Mapping[str, float | None]
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    training_loss: float | None = None
    eval_loss: float | None = None
    status: str = SUCCEEDED
    error_message: str | None = None
    duration_seconds: float = 0.0
    is_optimal: bool = False
    taken_from: str | None = None

    def fact(self) -> dict[str, Any]:
        """Return what the version keeps of the trial: the same for the same rows, so nothing of its duration or run."""
        return {
            "trial_id": self.trial_id,
            "hyperparameters": dict(self.hyperparameters),
            "hparam_tuning_evaluation_metrics": dict(self.objective),
            "training_loss": self.training_loss,
            "eval_loss": self.eval_loss,
            "status": self.status,
            "error_message": self.error_message,
            "is_optimal": self.is_optimal,
        }


def point_of(hyperparameters: Mapping[str, Any]) -> str:
    """Return the text by which two trials of the same hyperparameters are known: JSON, in the order of the names."""
    return json.dumps(dict(hyperparameters), sort_keys=True)


def search_hash(definition_hash: str, data_hash: str) -> str:
    """Return a hash of all that the result of a trial depends on beside its hyperparameters.

    The definition, the rows, and the libraries with the platform: what another release fitted is not taken over.
    """
    environment = {name: told for name, told in describe_environment(SEED).items() if name not in _BESIDE_THE_FIT}
    parts = [definition_hash, data_hash, json.dumps(environment, sort_keys=True)]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def known_trials(warehouse: Warehouse, search: str) -> dict[str, Trial]:
    """Return the trials of earlier runs of a search that did not fail, by ``point_of``.

    One that failed is tried again: memory may have been short.
    """
    sql = statement(__package__, "known_trials.sql", warehouse.engine)
    found: dict[str, Trial] = {}
    for row in warehouse.fetch(sql, {"search_hash": search, "status": SUCCEEDED}).to_pylist():
        hyperparameters = json.loads(row["hyperparameters"])
        found[point_of(hyperparameters)] = Trial(
            trial_id=row["trial_id"],
            hyperparameters=hyperparameters,
            objective={},
            metrics=json.loads(row["metrics"]),
            training_loss=row["training_loss"],
            eval_loss=row["eval_loss"],
            duration_seconds=row["duration_seconds"],
            taken_from=row["taken_from"] or row["run_id"],
        )
    return found


def record_trial(warehouse: Warehouse, run: Mapping[str, Any], search: str, trial: Trial) -> None:
    """Write the row of a trial that has ended, of a run with its ``run_id`` and ``model``."""
    run_file(
        warehouse,
        __package__,
        "record_trial.sql",
        {
            "run_id": run["run_id"],
            "model": run["model"],
            "trial_id": trial.trial_id,
            "hyperparameters": json.dumps(dict(trial.hyperparameters)),
            "metrics": json.dumps(dict(trial.metrics), sort_keys=True),
            "status": trial.status,
            "error": trial.error_message,
            "is_optimal": trial.is_optimal,
            "duration_seconds": trial.duration_seconds,
            "training_loss": trial.training_loss,
            "eval_loss": trial.eval_loss,
            "search_hash": search,
            "taken_from": trial.taken_from,
        },
    )


def mark_optimal(warehouse: Warehouse, run_id: str, trial_id: int) -> None:
    """Say of a trial that is recorded that its model was the one kept."""
    sql = statement(__package__, "mark_optimal.sql", warehouse.engine)
    warehouse.run(sql, {"run_id": run_id, "trial_id": trial_id})
