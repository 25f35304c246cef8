"""The steps of the loop over an open project, and the weekly job that strings them together."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from warehouse_ml.building import Built, build
from warehouse_ml.catalog import Clock, Node
from warehouse_ml.errors import VersionNotFoundError
from warehouse_ml.evaluation import (
    DriftInput,
    EvaluatedWindow,
    EvaluationSpec,
    evaluate,
    reopened_since,
    window_before,
)
from warehouse_ml.functions import held_out_side, install_predictions, placing
from warehouse_ml.graph import NodeId
from warehouse_ml.registry import CHALLENGER, CHAMPION, StoredVersion
from warehouse_ml.requests import Predicted, predict
from warehouse_ml.requests.predict import REQUEST_COLUMNS, ensure_log, log_of
from warehouse_ml.rules import Firing, fire
from warehouse_ml.scoring import importances, score_arrow
from warehouse_ml.scoring.features import KINDS, FittedFeature, InputColumn, Kind, cleaned
from warehouse_ml.session import Session
from warehouse_ml.templates import statement
from warehouse_ml.training import Trained, subject_of, train

__all__ = [
    "TestResult",
    "WeeklyRun",
    "build_step",
    "evaluate_step",
    "predict_step",
    "run_job",
    "test_step",
    "train_step",
]

if TYPE_CHECKING:
    import pyarrow as pa

OnStep = Callable[[str], None]

_MOST_SCORED_ROWS = 100_000


@dataclass(frozen=True)
class TestResult:
    """What a test of the project returned: bad rows, none where all is well."""

    __test__ = False

    name: str
    place: str
    n_rows: int


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
    """

    as_of: dt.datetime
    built: list[Built] = field(default_factory=list)
    predicted: list[Predicted] = field(default_factory=list)
    evaluated: list[EvaluatedWindow] = field(default_factory=list)
    firings: list[Firing] = field(default_factory=list)
    trained: list[Trained] = field(default_factory=list)


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


def train_step(
    session: Session,
    name: str,
    as_of: dt.datetime,
    *,
    force: bool = False,
    promote: str = "better",
    on_step: OnStep | None = None,
) -> Trained:
    """Bring a model's relations up to date and train it."""
    node = session.catalog.node("model", name)
    _build(session, as_of, session.catalog.graph.above([node.id]), on_step=on_step)
    trained = train(
        session.warehouse,
        session.registry,
        node.name,
        lambda: subject_of(session.catalog, node, as_of),
        as_of,
        force=force,
        promote=promote,
        on_step=on_step,
    )
    session.registry.show_in(session.warehouse)
    install_predictions(session.warehouse, session.registry)
    return trained


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
    return _predict(session, models, as_of, aliases, on_step)


def evaluate_step(
    session: Session,
    names: Sequence[str],
    as_of: dt.datetime,
    *,
    restate: bool = False,
    search: bool = False,
    on_step: OnStep | None = None,
    on_note: OnStep | None = None,
) -> list[EvaluatedWindow]:
    """Bring what evaluations depend on up to date, and evaluate each window that is due.

    Running it again at the same clock changes nothing. With ``search``, the windows that are evaluated are searched for
    the slices that do worse than the rest; ``on_note`` is told what the search left out.
    """
    catalog = session.catalog
    nodes = [catalog.node("evaluation", name) for name in names] or catalog.of_kind("evaluation")
    models = {need.name for node in nodes for need in catalog.graph.above([node.id]) if need.kind == "model"}
    if models:
        predict_step(session, sorted(models), as_of, on_step=on_step)
    _build(session, as_of, catalog.graph.above([node.id for node in nodes]), on_step=on_step)
    return _evaluate(session, nodes, as_of, restate=restate, search=search, on_step=on_step, on_note=on_note)


def run_job(
    session: Session,
    as_of: dt.datetime,
    *,
    aliases: Sequence[str] = (CHAMPION, CHALLENGER),
    on_step: OnStep | None = None,
) -> WeeklyRun:
    """Do the weekly job at a clock: build, predict, evaluate, ask the rules, retrain what they name.

    A model without a version is trained first. ``aliases`` are those whose versions answer now; a challenger that is
    left out catches up whenever it is not.
    """
    catalog = session.catalog
    result = WeeklyRun(as_of)
    # First, because a relation may read what a model predicts.
    for node in catalog.of_kind("model"):
        if session.registry.holder(node.name, CHAMPION, as_of) is None:
            result.trained.append(train_step(session, node.name, as_of, on_step=on_step))
    result.built.extend(build_step(session, as_of, on_step=on_step))
    result.predicted.extend(_predict(session, catalog.of_kind("model"), as_of, aliases, on_step))
    result.evaluated.extend(_evaluate(session, catalog.of_kind("evaluation"), as_of, on_step=on_step))
    result.firings.extend(fire(session.warehouse, catalog, session.reader, as_of))
    due = {firing.model for firing in result.firings if firing.event == "retrain" and firing.model}
    for node in catalog.of_kind("model"):
        if node.name in due:
            result.trained.append(train_step(session, node.name, as_of, on_step=on_step))
    return result


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


def _predict(
    session: Session, models: Sequence[Node], as_of: dt.datetime, aliases: Sequence[str], on_step: OnStep | None
) -> list[Predicted]:
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


def _evaluate(
    session: Session,
    nodes: Sequence[Node],
    as_of: dt.datetime,
    *,
    restate: bool = False,
    search: bool = False,
    on_step: OnStep | None = None,
    on_note: OnStep | None = None,
) -> list[EvaluatedWindow]:
    done: list[EvaluatedWindow] = []
    for node in nodes:
        if on_step:
            on_step(f"evaluating {node.name}")
        spec = EvaluationSpec.from_config(
            node.name, node.config, place=node.place, definition_hash=session.catalog.definition_hash(node)
        )
        since = _open_since(session, spec) if spec.model and not restate else None
        if since is not None and spec.drift_reference == "previous":
            since = window_before(since, spec.window)
        query = session.reader.query(node, Clock(as_of))
        with placing(query, session.warehouse):
            since = reopened_since(session.warehouse, spec, query.sql, since, as_of)
            done += evaluate(
                session.warehouse,
                spec,
                query.sql,
                as_of=as_of,
                restate=restate,
                since=since,
                drift=_drift_inputs(session, spec, spec.model, since) if spec.model else [],
                search=search,
                on_note=on_note,
            )
    return done


def _open_since(session: Session, spec: EvaluationSpec) -> dt.datetime | None:
    """Return where the first window starts that may still change, so that a week's job reads a week and not a year."""
    sql = statement(__package__, "open_since.sql", session.warehouse.engine, log=log_of(str(spec.model)))
    rows = session.warehouse.fetch(sql, {"evaluation": spec.name, "definition_hash": spec.definition_hash})
    since: dt.datetime | None = rows["open_since"][0].as_py()
    return since


def _drift_inputs(session: Session, spec: EvaluationSpec, model: str, since: dt.datetime | None) -> list[DriftInput]:
    """Compare what each version that served was asked with the rows it was trained on; shadows are left out."""
    engine = session.warehouse.engine
    inputs = []
    serving = {
        period.version
        for period in session.registry.periods(model, CHAMPION)
        if since is None or period.until is None or period.until > since
    }
    for version in session.registry.versions(model):
        if version.version not in serving:
            continue
        stored = session.registry.load(version)
        parameters = stored.parameters
        columns = {
            column.name: "categorical" if column.kind == "category" else "numeric"
            for column in parameters.inputs
            if column.kind in KINDS and column.name.lower() not in REQUEST_COLUMNS
        }
        if not columns:
            continue
        values = {
            column.name: _days_or_seconds(column, engine) for column in parameters.inputs if column.name in columns
        }
        path = session.registry.snapshot_path(version).as_posix()
        # Outputs are compared where the evaluation judges what the model predicts.
        has_outputs = parameters.task == spec.task and bool(parameters.label)
        inputs.append(
            DriftInput(
                version=version.version,
                reference_sql=statement(
                    __package__,
                    "drift_reference.sql",
                    engine,
                    columns=values,
                    path=path,
                    label=parameters.label if has_outputs else None,
                    positive=parameters.classes[-1] if parameters.task == "binary" else None,
                ),
                current_sql=statement(
                    __package__,
                    "drift_current.sql",
                    engine,
                    columns=values,
                    log=log_of(model),
                    version=version.version,
                ),
                columns=columns,
                reference_hash=version.artifact_hash,
                importances=importances(parameters),
                label="wml_label" if has_outputs else None,
                scores=partial(_held_out_scores, session, stored, path) if has_outputs else None,
            )
        )
    return inputs


def _held_out_scores(session: Session, stored: StoredVersion, path: str) -> pa.Array:
    """Return what a version predicts for the rows held out of training, or else for those trained on."""
    rows = statement(
        "warehouse_ml.functions",
        "trained_rows.sql",
        session.warehouse.engine,
        path=path,
        split=held_out_side(stored)[0],
        most=_MOST_SCORED_ROWS,
    )
    scored = score_arrow(session.warehouse, stored.parameters, rows).read_all()
    name = "prediction" if stored.parameters.task == "multiclass" else "score"
    return scored[name].combine_chunks()


def _days_or_seconds(column: InputColumn, engine: str) -> str | None:
    """Return a date as days and an instant as seconds, which can be cut into buckets; None for any other column."""
    kinds: dict[str, Kind] = {"date": "date", "timestamp": "timestamp"}
    kind = kinds.get(column.kind)
    return None if kind is None else cleaned(FittedFeature(column.name, kind, "double"), None).sql(dialect=engine)


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
    return build(session.warehouse, catalog, session.reader, as_of, ordered, fresh=fresh, on_step=on_step)


def _models(session: Session, names: Sequence[str]) -> list[Node]:
    if names:
        return [session.catalog.node("model", name) for name in names]
    return session.catalog.of_kind("model")
