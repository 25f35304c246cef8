"""Ask the rules: each returned row is a reason to act, and is kept."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from warehouse_ml.catalog import Catalog, Clock
from warehouse_ml.errors import ProjectError, did_you_mean
from warehouse_ml.functions import Reader
from warehouse_ml.tables import run_file
from warehouse_ml.warehouses.base import Warehouse

__all__ = ["EVENTS", "Firing", "fire"]

EVENTS = ("retrain", "alert", "promote", "fallback")
"""What a rule may be for: training anew, telling a person, refusing a promotion, going back to the safe version."""

_OF_A_MODEL = ("retrain", "promote", "fallback")


@dataclass(frozen=True)
class Firing:
    """One row that a rule returned.

    Parameters
    ----------
    rule, event : str
    model : str or None
    row : mapping of column to value
    """

    rule: str
    event: str
    model: str | None
    row: Mapping[str, Any]


def fire(
    warehouse: Warehouse,
    catalog: Catalog,
    reader: Reader,
    as_of: dt.datetime,
    *,
    events: Collection[str] = EVENTS,
    model: str | None = None,
    candidate: int | None = None,
    champion: int | None = None,
) -> list[Firing]:
    """Run the rules of some events at a clock and record what fired in ``wml.rule_firings``.

    With ``model``, those about it alone. ``candidate`` and ``champion`` are the versions that rules about a promotion
    are told.

    Raises
    ------
    ProjectError
        If a rule does not say what it is for.
    SqlError
        If the warehouse refuses a rule's SQL; placed at its file and line.
    """
    firings = []
    for node in catalog.of_kind("rule"):
        event, subject = str(node.config.get("on", "")), node.config.get("model")
        if event not in EVENTS:
            raise ProjectError(
                f'on = "{event}" is not something a rule can be for'
                if event
                else "the rule does not say what it is for",
                place=node.place,
                has=EVENTS,
                hint=did_you_mean(event, EVENTS) or "config(on='retrain', model='...')",
            )
        if event in _OF_A_MODEL:
            subject = catalog.node("model", str(subject)).name
        if event not in events or (model is not None and subject != model):
            continue
        rows = reader.fetch(node, Clock(as_of, candidate=candidate, champion=champion)).to_pylist()
        with warehouse.transaction():
            run_file(
                warehouse,
                __package__,
                "record_firing.sql",
                {
                    "rule": node.name,
                    "event": event,
                    "model": subject,
                    "fired_at": dt.datetime.now(dt.UTC),
                    "as_of": as_of,
                },
                rows=[json.dumps(row, default=str, sort_keys=True) for row in rows],
            )
        firings += [Firing(node.name, event, subject, row) for row in rows]
    return firings
