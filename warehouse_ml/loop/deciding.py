"""Promote, roll back, fall back: what is asked first, what is written, and what follows from it."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field, replace

from warehouse_ml.catalog import Node
from warehouse_ml.decisions import Decided, check_alias, fall_back, promote, remove, roll_back
from warehouse_ml.errors import DataError, VersionNotFoundError
from warehouse_ml.loop.candidates import (
    N_WINDOWS,
    Evidence,
    evaluations_of,
    has_promote_rules,
    look_into,
    summary,
    told,
)
from warehouse_ml.loop.evaluating import OnStep
from warehouse_ml.loop.steps import bring_up_to_date, evaluate_step
from warehouse_ml.registry import CHAMPION, SERVING, Version
from warehouse_ml.requests.predict import log_of, prepare
from warehouse_ml.rules import Failure, Firing, fire
from warehouse_ml.session import Session
from warehouse_ml.tables import one_row
from warehouse_ml.templates import statement
from warehouse_ml.training import Guard

__all__ = [
    "Decision",
    "FellBack",
    "fall_back_where_due",
    "fallback_step",
    "guard_of",
    "promote_step",
    "remove_step",
    "rollback_step",
]

_SHOWN_ROWS = 3


@dataclass(frozen=True)
class Decision:
    """A decision, and what it rests on.

    Parameters
    ----------
    decided : Decided
    is_refused : bool
        Whether a rule forbade it; nothing was written then.
    evidence : Evidence or None
        None where nothing was asked.
    refusals : list of str
        What rules said against it, each with its file and first rows, also where it was forced.
    """

    decided: Decided
    is_refused: bool = False
    evidence: Evidence | None = None
    refusals: list[str] = field(default_factory=list)


class _NotForGood(Exception):  # noqa: N818 - takes back what a dry run did; nobody sees it
    pass


def promote_step(
    session: Session,
    version: Version,
    as_of: dt.datetime,
    reason: str,
    *,
    alias: str = CHAMPION,
    share: float | None = None,
    force: bool = False,
    is_dry: bool = False,
    n_windows: int = N_WINDOWS,
    on_step: OnStep | None = None,
) -> Decision:
    """Give an alias to a version; to become champion it is compared first, and the rules may refuse it.

    Parameters
    ----------
    session : Session
    version : Version
    as_of : datetime
        From when on.
    reason : str
    alias : str
    share : float, optional
        Of a canary.
    force : bool
        Promote whatever the rules say; what they say is written into the reason.
    is_dry : bool
        Leave everything as it was, the log and the evaluations too.
    n_windows : int
        Over how many of the last mature windows the two are compared.
    on_step : callable, optional

    Raises
    ------
    WmlError
        If the decision makes no sense, or later requests have been answered already.
    """
    model = version.model
    decided = promote(session.registry, model, version.version, as_of, reason, alias=alias, share=share, writes=False)
    if not decided.lines:
        return Decision(decided)
    if alias in SERVING:
        _refuse_the_past(session, model, as_of)
    evidence = None
    champion = session.registry.holder(model, CHAMPION, as_of)
    node = _node(session, model)
    if alias == CHAMPION and champion is not None and node is not None:
        evidence = _evidence(session, node, version, champion, as_of, n_windows, is_dry, on_step)
    refusals = summary(session, evidence.refusals, _SHOWN_ROWS) if evidence else []
    if refusals and not force:
        return Decision(decided, True, evidence, refusals)
    if refusals and evidence:
        reason = f"{reason} (forced, although {'; '.join(summary(session, evidence.refusals))})"
    if is_dry:
        return Decision(replace(decided, reason=reason), False, evidence, refusals)
    decided = promote(session.registry, model, version.version, as_of, reason, alias=alias, share=share)
    session.show_versions()
    return Decision(decided, False, evidence, refusals)


def remove_step(
    session: Session, model: str, as_of: dt.datetime, reason: str, *, alias: str, is_dry: bool = False
) -> Decision:
    """Take an alias away; see ``decisions.remove``."""
    check_alias(alias)
    decided = remove(session.registry, model, as_of, reason, alias=alias, writes=False)
    if alias in SERVING and decided.lines:
        _refuse_the_past(session, model, as_of)
    if not is_dry:
        decided = remove(session.registry, model, as_of, reason, alias=alias)
        session.show_versions()
    return Decision(decided)


def rollback_step(
    session: Session,
    model: str,
    as_of: dt.datetime,
    reason: str | None = None,
    *,
    to: int | None = None,
    is_dry: bool = False,
) -> Decision:
    """Let the version before the present champion serve again; see ``decisions.roll_back``. No rule is asked."""
    decided = roll_back(session.registry, model, as_of, reason, to=to, writes=False)
    if decided.lines:
        _refuse_the_past(session, model, as_of)
    if not is_dry:
        decided = roll_back(session.registry, model, as_of, reason, to=to)
        session.show_versions()
    return Decision(decided)


def fallback_step(
    session: Session, model: str, as_of: dt.datetime, reason: str | None = None, *, is_dry: bool = False
) -> Decision:
    """Let the safe version serve; see ``decisions.fall_back``. No rule is asked."""
    decided = fall_back(session.registry, model, as_of, reason, writes=False)
    if decided.lines:
        _refuse_the_past(session, model, as_of)
    if not is_dry:
        decided = fall_back(session.registry, model, as_of, reason)
        session.show_versions()
    return Decision(decided)


@dataclass(frozen=True)
class FellBack:
    """What rules about a fallback came to in the weekly job.

    Parameters
    ----------
    firings : list of Firing
    models : set of str
        Those that a rule named: nothing is promoted over them in this job.
    decided : list of Decided
        What was written: none where the safe version serves already.
    notes : list of str
        Why a model that a rule named did not fall back.
    """

    firings: list[Firing] = field(default_factory=list)
    models: set[str] = field(default_factory=set)
    decided: list[Decided] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def fall_back_where_due(session: Session, as_of: dt.datetime, failures: list[Failure] | None = None) -> FellBack:
    """Ask the rules about fallbacks, and let the safe version of each model that they name serve.

    A model without a safe version goes on as it is, and so does one whose later requests were answered already: the
    job has other work to do, and the rule's row is kept. ``failures`` is told of the rules that fail.
    """
    result = FellBack()
    warehouse, catalog, reader = session.warehouse, session.catalog, session.reader
    result.firings.extend(fire(warehouse, catalog, reader, as_of, events=("fallback",), failures=failures))
    for firing in result.firings:
        model = str(firing.model)
        if model in result.models:
            continue
        result.models.add(model)
        try:
            decided = fallback_step(session, model, as_of, told(session, firing)).decided
        except (VersionNotFoundError, DataError) as error:
            result.notes.append(str(error))
            continue
        if decided.lines:
            result.decided.append(decided)
    return result


def guard_of(session: Session, node: Node, as_of: dt.datetime, on_step: OnStep | None = None) -> Guard | None:
    """Return what a newly trained version must pass before it takes over by itself, or None if no rule asks for it.

    The guard is given the candidate and the champion, and returns why not, or None.
    """
    if not has_promote_rules(session, node.name):
        return None

    def refusal(candidate: Version, champion: Version) -> str | None:
        evidence = _evidence(session, node, candidate, champion, as_of, N_WINDOWS, False, on_step)
        return "; ".join(summary(session, evidence.refusals)) or None

    return refusal


def _evidence(
    session: Session,
    node: Node,
    candidate: Version,
    champion: Version,
    as_of: dt.datetime,
    n_windows: int,
    is_dry: bool,
    on_step: OnStep | None,
) -> Evidence:
    names = [evaluation.name for evaluation in evaluations_of(session, node.name)]
    # Where nothing can be defined in a transaction, relations are brought to the clock for good, as by any other step.
    is_built = is_dry and not session.warehouse.defines_in_transactions
    if is_built:
        _prepare(session, node, candidate, as_of, names, on_step)

    def gather() -> Evidence:
        if names:
            evaluate_step(session, names, as_of, is_built=is_built, on_step=on_step)
        return look_into(session, node, candidate, champion, as_of, n_windows=n_windows, on_step=on_step)

    if not is_dry:
        return gather()
    found: list[Evidence] = []
    logs = set(session.logs)
    try:
        with session.warehouse.transaction():
            found.append(gather())
            raise _NotForGood
    except _NotForGood:
        # A log that was made in the dry run is gone again.
        session.logs.intersection_update(logs)
    return found[0]


def _prepare(
    session: Session, node: Node, candidate: Version, as_of: dt.datetime, names: list[str], on_step: OnStep | None
) -> None:
    """Define all that evidence is gathered from: relations at the clock, and the columns of the logs."""
    wanted = [session.catalog.node("evaluation", name).id for name in names] or [node.id]
    bring_up_to_date(session, as_of, wanted, on_step=on_step)
    prepare(session.warehouse, session.catalog, session.registry, node, as_of, also=candidate)


def _node(session: Session, model: str) -> Node | None:
    """Return the model's file, or None for a model that is no file of the project."""
    return next((node for node in session.catalog.of_kind("model") if node.name == model), None)


def _refuse_the_past(session: Session, model: str, at: dt.datetime) -> None:
    """Refuse to change who was to answer requests that have been answered."""
    log = log_of(model)
    if not session.warehouse.exists(log):
        return
    sql = statement(__package__, "answered_since.sql", session.warehouse.engine, log=log, serving=SERVING)
    row = one_row(session.warehouse, sql, {"at": at})
    if row["n_requests"]:
        raise DataError(
            f"{row['n_requests']:,} requests of {model} made since {at:%Y-%m-%d %H:%M:%S} have been answered already, "
            f"the last of {row['last_at']:%Y-%m-%d %H:%M:%S}",
            hint="a decision holds from the clock on, and what was answered stays as it was: give a later --as-of",
        )
