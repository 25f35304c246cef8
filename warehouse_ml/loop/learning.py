"""The step that trains: its relations first, then the fit, and the rules about a promotion before it takes over."""

from __future__ import annotations

import datetime as dt

from warehouse_ml.loop.deciding import guard_of
from warehouse_ml.loop.evaluating import OnStep
from warehouse_ml.loop.steps import bring_up_to_date
from warehouse_ml.session import Session
from warehouse_ml.training import Trained, subject_of, train

__all__ = ["train_step"]


def train_step(
    session: Session,
    name: str,
    as_of: dt.datetime,
    *,
    force: bool = False,
    promote: str = "better",
    on_step: OnStep | None = None,
) -> Trained:
    """Bring a model's relations up to date and train it; rules about promotions are asked before it takes over."""
    node = session.catalog.node("model", name)
    bring_up_to_date(session, as_of, [node.id], on_step=on_step)
    trained = train(
        session.warehouse,
        session.registry,
        node.name,
        lambda: subject_of(session.catalog, node, as_of),
        as_of,
        force=force,
        promote=promote,
        guard=guard_of(session, node, as_of, on_step) if promote == "better" else None,
        on_step=on_step,
    )
    session.show_versions()
    return trained
