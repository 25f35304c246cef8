"""Ask the rules: each returned row is a reason to act, and is kept."""

from __future__ import annotations

import datetime as dt
import json
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from warehouse_ml.catalog import Catalog, Clock, Node
from warehouse_ml.columns import named_rows
from warehouse_ml.errors import ProjectError, WmlError, did_you_mean
from warehouse_ml.functions import Reader
from warehouse_ml.tables import run_file
from warehouse_ml.warehouses.base import Warehouse

__all__ = ["EVENTS", "INPUT_RETRAINED", "Asked", "Failure", "Firing", "ask", "fire", "record", "rules_of"]

EVENTS = ("retrain", "alert", "promote", "fallback")
"""What a rule may be for: training anew, telling a person, refusing a promotion, going back to the safe version."""

INPUT_RETRAINED = "input_model_retrained"
"""The rule that a model which feeds another makes by itself, as ``wml.rule_firings`` has it."""

_DETAILS = frozenset(
    {"ci_lower", "ci_upper", "evaluation", "first_window_start", "n_current", "n_reference", "now", "trained_from"}
)
# A line has no room for them; the row that is kept has them.

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

    def __str__(self) -> str:
        told = ", ".join(
            f"{key} {_short(value)}"
            for key, value in self.row.items()
            if key != "reason" and key not in _DETAILS and value is not None
        )
        reason = self.row.get("reason")
        return " ".join(part for part in (str(reason or ""), f"({told})" if reason and told else told) if part)


@dataclass(frozen=True)
class Failure:
    """What could not be done, and why, while the rest went on.

    Parameters
    ----------
    what : str
        The rule or the model, in words.
    error : WmlError
    """

    what: str
    error: WmlError


@dataclass(frozen=True)
class Asked:
    """What a rule said.

    Parameters
    ----------
    rule : str
    event : str
        One of ``EVENTS``; as written, where the rule failed for it.
    model : str or None
    is_enabled : bool
        A rule that is not is not asked.
    firings : list of Firing
        None where nothing is due.
    error : WmlError or None
        Why it could not be asked.
    """

    rule: str
    event: str
    model: str | None
    is_enabled: bool = True
    firings: list[Firing] = field(default_factory=list)
    error: WmlError | None = None


def rules_of(
    catalog: Catalog, *, events: Collection[str] = EVENTS, model: str | None = None
) -> list[tuple[Node, Asked]]:
    """Return the rules of some events, about a model or about any, each with what it is for; none is asked.

    One whose ``config(...)`` is wrong is among them, as nobody knows what it is about, with the error.
    """
    found = []
    for node in catalog.of_kind("rule"):
        event, subject = str(node.config.get("on", "")), node.config.get("model")
        try:
            _check(node, event)
            if event in _OF_A_MODEL or subject is not None:
                subject = catalog.node("model", str(subject)).name
        except ProjectError as error:
            error.place = error.place or node.place
            told = None if subject is None else str(subject)
            found.append((node, Asked(node.name, event, told, error=error)))
            continue
        if event in events and (model is None or subject == model):
            found.append((node, Asked(node.name, event, subject, node.config.get("enabled", True))))
    return found


def ask(
    catalog: Catalog,
    reader: Reader,
    as_of: dt.datetime,
    *,
    events: Collection[str] = EVENTS,
    model: str | None = None,
    clock: Clock | None = None,
) -> list[Asked]:
    """Run the rules of some events at a clock, and record nothing. One that fails is told with its error.

    ``clock`` is what their templates see, if that is more than ``as_of``.
    """
    asked = []
    for node, about in rules_of(catalog, events=events, model=model):
        if about.error is not None or not about.is_enabled:
            asked.append(about)
            continue
        try:
            rows = named_rows(reader.fetch(node, clock or Clock(as_of)))
        except WmlError as error:
            error.place = error.place or node.place
            asked.append(Asked(about.rule, about.event, about.model, error=error))
            continue
        firings = [Firing(about.rule, about.event, about.model, row) for row in rows]
        asked.append(Asked(about.rule, about.event, about.model, firings=firings))
    return asked


def fire(
    warehouse: Warehouse,
    catalog: Catalog,
    reader: Reader,
    as_of: dt.datetime,
    *,
    events: Collection[str] = EVENTS,
    model: str | None = None,
    clock: Clock | None = None,
    failures: list[Failure] | None = None,
) -> list[Firing]:
    """Run the rules of some events at a clock and record what fired in ``wml.rule_firings``.

    With ``model``, those about it alone. A rule that fails keeps no other from being asked and recorded: its error is
    added to ``failures`` where they are given, and raised when all have been asked where they are not.

    Raises
    ------
    ProjectError
        If a rule does not say what it is for.
    SqlError
        If the warehouse refuses a rule's SQL; placed at its file and line.
    """
    asked = ask(catalog, reader, as_of, events=events, model=model, clock=clock)
    for about in asked:
        if about.is_enabled and about.error is None:
            record(warehouse, as_of, about.rule, about.event, about.model, about.firings)
    failed = [Failure(f"the rule {about.rule}", about.error) for about in asked if about.error is not None]
    if failures is not None:
        failures += failed
    elif failed:
        raise failed[0].error
    return [firing for about in asked for firing in about.firings]


def record(
    warehouse: Warehouse, as_of: dt.datetime, rule: str, event: str, model: str | None, firings: Sequence[Firing]
) -> None:
    """Keep what a rule returned for a model at a clock, in place of what it returned there before.

    A retraining that was done leaves the rule nothing to return; why it was done stays.
    """
    with warehouse.transaction():
        run_file(
            warehouse,
            __package__,
            "record_firing.sql",
            {
                "rule": rule,
                "event": event,
                "model": model,
                "fired_at": dt.datetime.now(dt.UTC),
                "as_of": as_of,
            },
            keeps_cause=event == "retrain" and not firings,
            rows=[_text(firing.row) for firing in firings],
        )


def _check(node: Node, event: str) -> None:
    if event not in EVENTS:
        raise ProjectError(
            f'on = "{event}" is not something a rule can be for' if event else "the rule does not say what it is for",
            place=node.place,
            has=EVENTS,
            hint=did_you_mean(event, EVENTS) or "config(on='retrain', model='...')",
        )
    if event in _OF_A_MODEL and not node.config.get("model"):
        raise ProjectError(
            f'a rule for "{event}" does not say which model it is about',
            place=node.place,
            hint=f"config(on='{event}', model='...')",
        )
    if not isinstance(node.config.get("enabled", True), bool):
        raise ProjectError(f"enabled = {node.config['enabled']!r} is neither true nor false", place=node.place)


def _short(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, dt.datetime):
        return value.astimezone(dt.UTC).strftime("%Y-%m-%d" if value.time() == dt.time() else "%Y-%m-%d %H:%M")
    return str(value)


def _text(row: Mapping[str, Any]) -> str:
    """Return a row as JSON, which knows no number that is none."""
    finite = {
        key: None if isinstance(value, float) and not math.isfinite(value) else value for key, value in row.items()
    }
    return json.dumps(finite, default=str, sort_keys=True)
