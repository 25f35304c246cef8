"""Steps that change no version: what a training would do, and what a definition would come to."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import PurePath

from warehouse_ml.functions import Context
from warehouse_ml.loop.evaluating import OnStep
from warehouse_ml.loop.steps import bring_up_to_date
from warehouse_ml.session import Session
from warehouse_ml.training import TrainingPlan, Tried, plan_training, subject_of, try_out

__all__ = ["model_names", "plan_step", "try_step"]


def model_names(names: Sequence[str]) -> list[str]:
    """Return models by name: ``models/late.sql`` means ``late``."""
    return [PurePath(name).stem if name.endswith(".sql") else name for name in names]


def plan_step(session: Session, name: str, as_of: dt.datetime, *, on_step: OnStep | None = None) -> TrainingPlan:
    """Bring a model's relations up to date, and say what training it would do."""
    node = session.catalog.node("model", name)
    bring_up_to_date(session, as_of, [node.id], on_step=on_step)
    if on_step:
        on_step("reading the training rows")
    context = Context(session.warehouse, session.registry, as_of)
    return plan_training(context, subject_of(session.catalog, node, as_of))


def try_step(session: Session, name: str, as_of: dt.datetime, *, on_step: OnStep | None = None) -> Tried:
    """Bring a model's relations up to date, and train it without keeping what comes of it."""
    node = session.catalog.node("model", name)
    bring_up_to_date(session, as_of, [node.id], on_step=on_step)
    return try_out(
        session.warehouse,
        session.registry,
        node.name,
        lambda: subject_of(session.catalog, node, as_of),
        as_of,
        on_step=on_step,
    )
