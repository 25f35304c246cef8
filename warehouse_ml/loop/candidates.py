"""What is known of a candidate before it serves: its answers to what the champion was asked, and what the rules say."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field

from warehouse_ml.catalog import Clock, Node
from warehouse_ml.columns import named_rows
from warehouse_ml.functions import held_out_side
from warehouse_ml.loop.evaluating import OnStep, evaluate_nodes
from warehouse_ml.registry import CANARY, CHAMPION, Version
from warehouse_ml.requests.predict import REQUEST_COLUMNS, predict_again
from warehouse_ml.rules import Firing, fire
from warehouse_ml.session import Session
from warehouse_ml.tables import one_row
from warehouse_ml.templates import statement

__all__ = ["N_WINDOWS", "Evidence", "evaluations_of", "has_promote_rules", "look_into", "summary", "told"]

N_WINDOWS = 4
"""Over how many of the last mature windows a candidate is compared, if nothing else is said."""

_Span = tuple[dt.datetime, dt.datetime]

_INSTANT = dt.timedelta(microseconds=1)


@dataclass(frozen=True)
class Evidence:
    """What speaks for or against a promotion.

    Parameters
    ----------
    n_windows : int
        The mature windows over which candidate and champion answered the same requests.
    n_requests : int
        The requests that the candidate answered now.
    n_apart : int
        The windows left out because the candidate served a share of their requests, or all but a canary's.
    unseen_since : datetime or None
        Earlier requests may have been trained on, and are not compared.
    refusals : list of Firing
        Rows that rules about promotions returned.
    """

    n_windows: int = 0
    n_requests: int = 0
    n_apart: int = 0
    unseen_since: dt.datetime | None = None
    refusals: list[Firing] = field(default_factory=list)


def has_promote_rules(session: Session, model: str) -> bool:
    """Return whether the project has a rule about the promotion of a model."""
    rules = session.catalog.of_kind("rule")
    return any(
        rule.config.get("on") == "promote" and str(rule.config.get("model")).lower() == model.lower() for rule in rules
    )


def look_into(
    session: Session,
    node: Node,
    candidate: Version,
    champion: Version,
    as_of: dt.datetime,
    *,
    n_windows: int = N_WINDOWS,
    on_step: OnStep | None = None,
) -> Evidence:
    """Let a candidate answer what the champion was asked, compare the two, and ask the rules.

    The model's evaluations must be up to date. Only windows are compared that the candidate was not trained on: over
    others it would look better than it is. Requests that a canary and a champion shared out, one of them the candidate,
    stay shared out: each has one answer, and the two are compared in ``wml.ab_results``.

    Parameters
    ----------
    session : Session
    node : Node
        The model.
    candidate, champion : Version
    as_of : datetime
    n_windows : int
        At most so many of the last mature windows of each evaluation.
    on_step : callable, optional

    Raises
    ------
    SqlError, ProjectError
        If a rule, or the model's evaluation, is wrong; placed in the file.
    """
    unseen_since = _unseen_since(session, candidate)
    asked = session.warehouse.fetch(
        statement(__package__, "comparable_windows.sql", session.warehouse.engine),
        {"model": node.name, "champion": champion.version, "as_of": as_of, "unseen_since": unseen_since},
    )
    apart = _shared_out(session, node.name, candidate.version, as_of)
    chosen: dict[str, list[list[_Span]]] = {}
    n_apart = 0
    for row in named_rows(asked):
        parts = _without((row["window_start"] or unseen_since, row["window_end"] or as_of), apart)
        of_one = chosen.setdefault(row["evaluation"], [])
        n_apart += not parts
        if parts and len(of_one) < n_windows:
            of_one.append(parts)
    windows = [parts for of_one in chosen.values() for parts in of_one]
    n_requests = 0
    if windows:
        if on_step:
            on_step(f"scoring {node.name} with version {candidate.version}")
        n_requests = predict_again(
            session.warehouse,
            session.catalog,
            session.registry,
            node,
            as_of,
            version=candidate.version,
            among=champion.version,
            spans=sorted({span for parts in windows for span in parts}),
        ).n_requests
    if n_requests:
        evaluate_nodes(session, evaluations_of(session, node.name), as_of, on_step=on_step)
    refusals = fire(
        session.warehouse,
        session.catalog,
        session.reader,
        as_of,
        events=("promote",),
        model=node.name,
        clock=Clock(as_of, candidate=candidate.version, champion=champion.version),
    )
    return Evidence(len(windows), n_requests, n_apart, unseen_since, refusals)


def evaluations_of(session: Session, model: str) -> list[Node]:
    """Return the evaluations of a model."""
    nodes = session.catalog.of_kind("evaluation")
    return [node for node in nodes if str(node.config.get("model", "")).lower() == model.lower()]


def told(session: Session, firing: Firing) -> str:
    """Return what a rule said: its file, its name and the row, number by number."""
    node = session.catalog.node("rule", firing.rule)
    row = ", ".join(f"{name} {_short(value)}" for name, value in firing.row.items())
    return f"{node.place}:1: {firing.rule} returned {row}"


def summary(session: Session, firings: Sequence[Firing], most: int = 1) -> list[str]:
    """Return what rules said, at most so many rows of each, the first ones, and how many more there are."""
    lines = []
    for rule in dict.fromkeys(firing.rule for firing in firings):
        rows = [firing for firing in firings if firing.rule == rule]
        more = f", and {len(rows) - most} more rows" if len(rows) > most + 1 else ", and another row"
        lines += [told(session, firing) for firing in rows[:most]]
        lines[-1] += more if len(rows) > most else ""
    return lines


def _shared_out(session: Session, model: str, version: int, as_of: dt.datetime) -> list[_Span]:
    """Return when a version was a canary, or a champion beside one."""
    canaries, champions = (session.registry.periods(model, alias) for alias in (CANARY, CHAMPION))
    found = []
    for canary in canaries:
        for champion in champions:
            since = max(canary.since, champion.since)
            until = min(canary.until or as_of, champion.until or as_of)
            if since < until and version in (canary.version, champion.version):
                found.append((since, until))
    return found


def _without(span: _Span, others: list[_Span]) -> list[_Span]:
    """Return what is left of a stretch of time without others."""
    left = [span]
    for since, until in others:
        left = [
            part
            for begins, ends in left
            for part in ((begins, min(ends, since)), (max(begins, until), ends))
            if part[0] < part[1]
        ]
    return left


def _unseen_since(session: Session, version: Version) -> dt.datetime:
    """Return from when on a version has seen no request: after the rows it was fitted to, or since it was trained.

    Rows split in the order of the requests leave the last ones out of the fit.
    """
    stored = session.registry.load(version)
    split, (side, _) = stored.facts["split"], held_out_side(stored)
    column = str(split["column"] or "")
    if split["method"] != "SEQ" or column.lower() != REQUEST_COLUMNS[1] or side == "train":
        return version.as_of
    sql = statement(
        __package__,
        "last_trained_on.sql",
        session.warehouse.engine,
        column=column,
        path=session.warehouse.parquet(session.registry.snapshot_path(version)),
        held_out=side,
    )
    last = one_row(session.warehouse, sql)["last_at"]
    if not isinstance(last, dt.datetime):
        return version.as_of
    return (last if last.tzinfo else last.replace(tzinfo=dt.UTC)) + _INSTANT


def _short(value: object) -> str:
    if isinstance(value, dt.datetime):
        return f"{value:%Y-%m-%d}" if value.time() == dt.time() else f"{value:%Y-%m-%d %H:%M:%S}"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
