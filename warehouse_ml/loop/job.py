"""The weekly job: build, predict, evaluate, ask the rules, retrain what they name."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field

from warehouse_ml.building import Built
from warehouse_ml.decisions import Decided
from warehouse_ml.evaluation import EvaluatedWindow
from warehouse_ml.loop.deciding import fall_back_where_due
from warehouse_ml.loop.evaluating import OnStep, evaluate_nodes
from warehouse_ml.loop.learning import train_step
from warehouse_ml.loop.retrain import Retrained, retrain
from warehouse_ml.loop.steps import build_step, predict_nodes
from warehouse_ml.registry import CHALLENGER, CHAMPION
from warehouse_ml.requests import Predicted
from warehouse_ml.rules import INPUT_RETRAINED, Failure, Firing, fire
from warehouse_ml.session import Session
from warehouse_ml.training import Trained

__all__ = ["WeeklyRun", "run_job"]


@dataclass(frozen=True)
class WeeklyRun:
    """What one run of the job did.

    Parameters
    ----------
    as_of : datetime
    built : list of Built
    predicted : list of Predicted
    evaluated : list of EvaluatedWindow
    firings : list of Firing
    trained : list of Trained
    decided : list of Decided
        Fallbacks to the safe version.
    notes : list of str
        What kept a model from falling back.
    retrained : list of Retrained
        What became of each model that was due, those among ``trained`` included that had a version before.
    failures : list of Failure
        The rules that could not be asked and the models that could not be trained again; all else was done.
    """

    as_of: dt.datetime
    built: list[Built] = field(default_factory=list)
    predicted: list[Predicted] = field(default_factory=list)
    evaluated: list[EvaluatedWindow] = field(default_factory=list)
    firings: list[Firing] = field(default_factory=list)
    trained: list[Trained] = field(default_factory=list)
    decided: list[Decided] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    retrained: list[Retrained] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)


def run_job(
    session: Session,
    as_of: dt.datetime,
    *,
    aliases: Sequence[str] = (CHAMPION, CHALLENGER),
    on_step: OnStep | None = None,
) -> WeeklyRun:
    """Do the weekly job at a clock: build, predict, evaluate, ask the rules, retrain what they name.

    A model without a version is trained first. ``aliases`` are those whose versions answer now; a challenger that is
    left out catches up whenever it is not. A rule or a retraining that fails keeps nothing else from being done: it is
    among the ``failures``.
    """
    catalog = session.catalog
    result = WeeklyRun(as_of)
    # First, because a relation may read what a model predicts.
    for node in catalog.of_kind("model"):
        if session.registry.holder(node.name, CHAMPION, as_of) is None:
            result.trained.append(train_step(session, node.name, as_of, on_step=on_step))
    result.built.extend(build_step(session, as_of, on_step=on_step))
    result.predicted.extend(predict_nodes(session, catalog.of_kind("model"), as_of, aliases, on_step))
    result.evaluated.extend(evaluate_nodes(session, catalog.of_kind("evaluation"), as_of, on_step=on_step))
    fallen = fall_back_where_due(session, as_of, result.failures)
    result.decided.extend(fallen.decided)
    result.notes.extend(fallen.notes)
    result.firings.extend(
        fire(
            session.warehouse,
            catalog,
            session.reader,
            as_of,
            events=("retrain", "alert"),
            failures=result.failures,
        )
    )
    # What a rule has just put out of service is not followed by what nobody has looked at.
    promote = dict.fromkeys(fallen.models, "never")
    done = retrain(session, as_of, result.firings, promote=promote, on_step=on_step)
    result.firings.extend(fallen.firings)
    result.trained.extend(model.trained for model in done.models if model.trained is not None)
    result.firings.extend(
        firing for model in done.models for firing in model.due.firings if firing.rule == INPUT_RETRAINED
    )
    result.retrained.extend(done.models)
    result.failures.extend(done.failures)
    return result
