"""Ask the rules: each returned row is a reason to act, and is kept."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from warehouse_ml.catalog import Catalog, Clock
from warehouse_ml.errors import ProjectError, did_you_mean
from warehouse_ml.functions import Reader
from warehouse_ml.tables import run_file
from warehouse_ml.warehouses.base import Warehouse

__all__ = ["EVENTS", "Firing", "fire"]

EVENTS = ("retrain", "alert")
"""What a rule may be for: training a new version, or telling a person."""


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


def fire(warehouse: Warehouse, catalog: Catalog, reader: Reader, as_of: dt.datetime) -> list[Firing]:
    """Run every rule at a clock and record what fired in ``wml.rule_firings``.

    Raises
    ------
    ProjectError
        If a rule does not say what it is for.
    SqlError
        If the warehouse refuses a rule's SQL; placed at its file and line.
    """
    firings = []
    for node in catalog.of_kind("rule"):
        event, model = str(node.config.get("on", "")), node.config.get("model")
        if event not in EVENTS:
            raise ProjectError(
                f'on = "{event}" is not something a rule can be for'
                if event
                else "the rule does not say what it is for",
                place=node.place,
                has=EVENTS,
                hint=did_you_mean(event, EVENTS) or "config(on='retrain', model='...')",
            )
        if event == "retrain":
            model = catalog.node("model", str(model)).name
        rows = reader.fetch(node, Clock(as_of)).to_pylist()
        with warehouse.transaction():
            run_file(
                warehouse,
                __package__,
                "record_firing.sql",
                {
                    "rule": node.name,
                    "event": event,
                    "model": model,
                    "fired_at": dt.datetime.now(dt.UTC),
                    "as_of": as_of,
                },
                rows=[json.dumps(row, default=str, sort_keys=True) for row in rows],
            )
        firings += [Firing(node.name, event, model, row) for row in rows]
    return firings
