"""Train again what rules or a person name, and every model that is fed by a model trained again."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from warehouse_ml.catalog import Catalog
from warehouse_ml.errors import WmlError
from warehouse_ml.graph import NodeId
from warehouse_ml.loop.evaluating import OnStep
from warehouse_ml.loop.learning import train_step
from warehouse_ml.loop.steps import bring_up_to_date
from warehouse_ml.registry import Version
from warehouse_ml.rules import INPUT_RETRAINED, Asked, Failure, Firing, ask, fire, record, rules_of
from warehouse_ml.session import Session
from warehouse_ml.training import Trained

__all__ = ["Due", "Retrained", "Retraining", "ask_step", "fed_by", "named", "plan", "retrain", "retrain_due"]

NAMED = "named"
"""The rule of a model that a person named."""


@dataclass(frozen=True)
class Due:
    """A model that is to be trained again.

    Parameters
    ----------
    model : str
    firings : tuple of Firing
        Why: what its rules returned, and a row for each model that feeds it and is trained again, too.
    """

    model: str
    firings: tuple[Firing, ...]

    @property
    def why(self) -> str:
        """Every reason, in words."""
        return "; ".join(
            str(firing) if firing.rule in (INPUT_RETRAINED, NAMED) else f"{firing.rule}: {firing}"
            for firing in self.firings
        )


@dataclass(frozen=True)
class Retrained:
    """What became of a model that was due.

    Parameters
    ----------
    due : Due
    result : str
        ``trained``; ``unchanged``, where the same definition on the same rows has a version; ``failed``; ``skipped``,
        because a model that feeds it failed or was skipped; or ``due``, where nothing was to be trained.
    trained : Trained or None
    error : WmlError or None
    reason : str
        Why it came to that.
    """

    due: Due
    result: str
    trained: Trained | None = None
    error: WmlError | None = None
    reason: str = ""


@dataclass(frozen=True)
class Retraining:
    """What one run of a retraining did.

    Parameters
    ----------
    models : list of Retrained
    failures : list of Failure
        The rules that could not be asked, and the models that could not be trained.
    """

    models: list[Retrained] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """The worst of the errors' own codes; 0 without one."""
        return max((failure.error.exit_code for failure in self.failures), default=0)


def fed_by(catalog: Catalog) -> dict[str, frozenset[str]]:
    """Return, for each model, those whose own predictions are among what it is trained on or asked with.

    A relation takes in a model's predictions with a function such as ``ml.predict``. One that names a version by its
    number stays as it is whichever is trained, and so does a request log.
    """
    fed: dict[NodeId, frozenset[str]] = {}
    for node_id in catalog.graph.order:
        node = catalog.nodes[node_id]
        found = {model for model, version in node.models if version is None or not version.isdigit()}
        for need in node.needs:
            if need.kind == "relation":
                found |= fed[need]
        fed[node_id] = frozenset(found)
    return {node.name: fed[node.id] - {node.name} for node in catalog.of_kind("model")}


def ask_step(
    session: Session,
    as_of: dt.datetime,
    *,
    events: Sequence[str],
    models: Sequence[str] = (),
    on_step: OnStep | None = None,
) -> list[Asked]:
    """Bring what rules read up to date and ask them, recording nothing.

    A rule about promotions is told and not asked: it is about a version that would take over.
    """
    _build_for_rules(session, as_of, events, on_step)
    asked = ask(session.catalog, session.reader, as_of, events=[event for event in events if event != "promote"])
    told = rules_of(session.catalog, events=[event for event in events if event == "promote"])
    # One that is wrong is among either.
    asked += [about for _, about in told if about.error is None]
    return [about for about in asked if not models or about.model in models]


def named(session: Session, models: Iterable[str]) -> list[Firing]:
    """Return a reason to train each of some models that a person names.

    Raises
    ------
    ProjectError
        If there is no model of a name.
    """
    found = [session.catalog.node("model", name).name for name in models]
    return [Firing(NAMED, "retrain", name, {"reason": "named"}) for name in dict.fromkeys(found)]


def plan(session: Session, as_of: dt.datetime, firings: Iterable[Firing]) -> list[Due]:
    """Return the models that are due, in the order to train them in, as far as can be told before any is trained.

    With those that rules name, a model is due whose input model is, or was trained at this clock after it.
    """
    reasons: dict[str, list[Firing]] = {}
    for firing in firings:
        if firing.event == "retrain" and firing.model is not None:
            reasons.setdefault(firing.model, []).append(firing)
    newest = _newest(session, as_of)
    found: list[Due] = []
    fed = fed_by(session.catalog)
    for node in session.catalog.of_kind("model"):
        why = list(reasons.get(node.name, []))
        for model in _in_order(session.catalog, fed[node.name]):
            if any(due.model == model for due in found) or _is_fresher(newest, model, node.name, as_of):
                why.append(_derived(node.name, model, None))
        if why:
            found.append(Due(node.name, tuple(why)))
    return found


def retrain(
    session: Session,
    as_of: dt.datetime,
    firings: Iterable[Firing],
    *,
    promote: Mapping[str, str] | None = None,
    on_step: OnStep | None = None,
) -> Retraining:
    """Train what firings name at a clock, and what is fed by a model that has a new version of this clock.

    ``promote`` says of a model when its new version takes over, if not when it is better.

    A model that fails keeps no other from being trained but those that it feeds. Of a model that is trained because of
    another's training, ``wml.rule_firings`` keeps that as the reason.
    """
    done = Retraining()
    stuck: dict[str, str] = {}
    fed = fed_by(session.catalog)
    for due in plan(session, as_of, firings):
        culprit = next((model for model in _in_order(session.catalog, fed[due.model]) if model in stuck), None)
        if culprit is not None:
            stuck[due.model] = "was skipped"
            reason = f"its input model {culprit} {stuck[culprit]}"
            done.models.append(Retrained(due, "skipped", reason=reason))
            continue
        now = _now_due(session, as_of, due, fed[due.model])
        if not now.firings:
            # Its input model came out as it was.
            continue
        try:
            derived = [firing for firing in now.firings if firing.rule == INPUT_RETRAINED]
            if derived:
                record(session.warehouse, as_of, INPUT_RETRAINED, "retrain", due.model, derived)
            takes_over = (promote or {}).get(due.model, "better")
            trained = train_step(session, due.model, as_of, promote=takes_over, on_step=on_step)
        except WmlError as error:
            stuck[due.model] = "failed"
            done.failures.append(Failure(f"the model {due.model}", error))
            done.models.append(Retrained(now, "failed", error=error, reason=str(error).splitlines()[0]))
            continue
        result = "trained" if trained.is_new else "unchanged"
        done.models.append(Retrained(now, result, trained=trained, reason=trained.reason))
    return done


def retrain_due(
    session: Session,
    as_of: dt.datetime,
    *,
    models: Sequence[str] = (),
    on_step: OnStep | None = None,
) -> Retraining:
    """Ask the rules for retraining at a clock, those about some models or all, and train what they name.

    What fired is recorded; the same clock again trains nothing.
    """
    _build_for_rules(session, as_of, ("retrain",), on_step)
    failures: list[Failure] = []
    firings: list[Firing] = []
    for model in models or (None,):
        name = None if model is None else session.catalog.node("model", model).name
        firings += fire(
            session.warehouse,
            session.catalog,
            session.reader,
            as_of,
            events=("retrain",),
            model=name,
            failures=failures,
        )
    # A rule that does not say what it is about is met with every model.
    failures = list({failure.what: failure for failure in failures}.values())
    done = retrain(session, as_of, firings, on_step=on_step)
    return Retraining(done.models, [*failures, *done.failures])


def _build_for_rules(session: Session, as_of: dt.datetime, events: Sequence[str], on_step: OnStep | None) -> None:
    asked = [node.id for node, about in rules_of(session.catalog, events=events) if about.is_enabled]
    bring_up_to_date(session, as_of, asked, on_step=on_step)


def _now_due(session: Session, as_of: dt.datetime, due: Due, inputs: frozenset[str]) -> Due:
    """Return why a model is due now that the models before it are trained, or are as they were."""
    newest = _newest(session, as_of)
    told = {model for model in inputs if _is_fresher(newest, model, due.model, as_of)}
    own = [firing for firing in due.firings if firing.rule != INPUT_RETRAINED]
    derived = [_derived(due.model, model, newest[model].version) for model in _in_order(session.catalog, told)]
    return Due(due.model, (*own, *derived))


def _newest(session: Session, as_of: dt.datetime) -> Mapping[str, Version]:
    newest: dict[str, Version] = {}
    for version in session.registry.versions():
        best = newest.get(version.model)
        if version.as_of <= as_of and (best is None or (version.as_of, version.version) > (best.as_of, best.version)):
            newest[version.model] = version
    return newest


def _is_fresher(newest: Mapping[str, Version], model: str, fed: str, as_of: dt.datetime) -> bool:
    """Whether a model has a version of this clock that one which it feeds was not trained after."""
    found, other = newest.get(model), newest.get(fed)
    if found is None or found.as_of != as_of or other is None:
        return False
    return other.as_of < as_of or other.created_at < found.created_at


def _in_order(catalog: Catalog, models: Iterable[str]) -> list[str]:
    wanted = set(models)
    return [node.name for node in catalog.of_kind("model") if node.name in wanted]


def _derived(model: str, source: str, version: int | None) -> Firing:
    row = {"reason": f"its input model {source} was retrained", "input_model": source}
    return Firing(INPUT_RETRAINED, "retrain", model, row if version is None else {**row, "input_version": version})
