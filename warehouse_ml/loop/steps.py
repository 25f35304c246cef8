"""The steps of the loop over an open project, each of which brings what it needs up to date first."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from warehouse_ml.building import Built, build
from warehouse_ml.catalog import Clock, Node
from warehouse_ml.errors import VersionNotFoundError
from warehouse_ml.evaluation import EvaluatedWindow
from warehouse_ml.graph import NodeId
from warehouse_ml.loop.evaluating import OnStep, evaluate_nodes
from warehouse_ml.registry import CHALLENGER, CHAMPION
from warehouse_ml.requests import Predicted, predict
from warehouse_ml.requests.predict import ensure_log
from warehouse_ml.session import Session

__all__ = [
    "TestResult",
    "bring_up_to_date",
    "build_step",
    "evaluate_step",
    "predict_nodes",
    "predict_step",
    "test_step",
]


@dataclass(frozen=True)
class TestResult:
    """What a test of the project returned: bad rows, none where all is well."""

    __test__ = False

    name: str
    place: str
    n_rows: int


def build_step(
    session: Session,
    as_of: dt.datetime,
    select: Sequence[str] = (),
    *,
    fresh: bool = False,
    on_step: OnStep | None = None,
) -> list[Built]:
    """Build the relations that a selection names; a model or an evaluation stands for what it reads."""
    graph = session.catalog.graph
    chosen = set(graph.select(select))
    if select:
        asked_for = {node for node in chosen if node.kind != "relation"}
        chosen |= graph.above(asked_for)
    return _build(session, as_of, chosen, fresh=fresh, on_step=on_step)


def predict_step(
    session: Session,
    names: Sequence[str],
    as_of: dt.datetime,
    *,
    aliases: Sequence[str] = (CHAMPION, CHALLENGER),
    on_step: OnStep | None = None,
) -> list[Predicted]:
    """Bring the requests of models up to date, and score and log those that are due for the versions of aliases."""
    models = _models(session, names)
    _build(session, as_of, session.catalog.graph.above([node.id for node in models]), on_step=on_step)
    return predict_nodes(session, models, as_of, aliases, on_step)


def evaluate_step(
    session: Session,
    names: Sequence[str],
    as_of: dt.datetime,
    *,
    restate: bool = False,
    search: bool = False,
    is_built: bool = False,
    on_step: OnStep | None = None,
    on_note: OnStep | None = None,
) -> list[EvaluatedWindow]:
    """Bring what evaluations depend on up to date, and evaluate each window that is due.

    Running it again at the same clock changes nothing. With ``search``, the windows that are evaluated are searched for
    the slices that do worse than the rest; ``on_note`` is told what the search left out. With ``is_built``, all that
    the evaluations read is taken to be as of the clock.
    """
    catalog = session.catalog
    nodes = [catalog.node("evaluation", name) for name in names] or catalog.of_kind("evaluation")
    graph = catalog.graph
    needed = graph.above([node.id for node in nodes])
    models = [catalog.nodes[need] for need in graph.order if need in needed and need.kind == "model"]
    first = graph.above([model.id for model in models])
    if not is_built:
        _build(session, as_of, first, on_step=on_step)
    predict_nodes(session, models, as_of, (CHAMPION, CHALLENGER), on_step)
    if not is_built:
        # What reads no answers is up to date by now.
        done = {need for need in first if all(other.kind != "model" for other in graph.above([need]))}
        _build(session, as_of, needed - done, on_step=on_step)
    return evaluate_nodes(session, nodes, as_of, restate=restate, search=search, on_step=on_step, on_note=on_note)


def test_step(session: Session, names: Sequence[str], as_of: dt.datetime) -> list[TestResult]:
    """Run the project's tests, each of which returns the rows that are wrong."""
    catalog = session.catalog
    nodes = [catalog.node("test", name) for name in names] or catalog.of_kind("test")
    _build(session, as_of, catalog.graph.above([node.id for node in nodes]))
    results = []
    for node in nodes:
        rows = session.reader.fetch(node, Clock(as_of))
        results.append(TestResult(node.name, node.place, rows.num_rows))
    return results


test_step.__test__ = False  # type: ignore[attr-defined]


def bring_up_to_date(
    session: Session, as_of: dt.datetime, nodes: Sequence[NodeId], *, on_step: OnStep | None = None
) -> list[Built]:
    """Build the relations that nodes read."""
    return _build(session, as_of, session.catalog.graph.above(nodes), on_step=on_step)


def predict_nodes(
    session: Session, models: Sequence[Node], as_of: dt.datetime, aliases: Sequence[str], on_step: OnStep | None
) -> list[Predicted]:
    """Score and log what is due for models; their requests must be built."""
    done = []
    for node in models:
        if on_step:
            on_step(f"scoring {node.name}")
        if not session.registry.periods(node.name, CHAMPION):
            raise VersionNotFoundError(
                f'the model "{node.name}" has no version yet',
                place=node.place,
                hint=f"train one: wml train {node.name}",
            )
        done += predict(session.warehouse, session.catalog, session.registry, node, as_of, aliases=aliases)
    return done


def _build(
    session: Session,
    as_of: dt.datetime,
    nodes: set[NodeId],
    *,
    fresh: bool = False,
    on_step: OnStep | None = None,
) -> list[Built]:
    catalog = session.catalog
    for node in nodes:
        if node.kind == "model" and node.name not in session.logs:
            ensure_log(session.warehouse, catalog, node.name)
            session.logs.add(node.name)
    ordered = [catalog.nodes[node] for node in catalog.graph.order if node in nodes and node.kind == "relation"]
    if not ordered:
        return []
    return build(session.warehouse, catalog, session.reader, as_of, ordered, fresh=fresh, on_step=on_step)


def _models(session: Session, names: Sequence[str]) -> list[Node]:
    if names:
        return [session.catalog.node("model", name) for name in names]
    return session.catalog.of_kind("model")
