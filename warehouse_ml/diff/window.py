"""Two versions on the requests of one window: both score them all, and what they come to is compared in pairs.

A version that was not asked at the time is asked now. All of it happens in a transaction that is rolled back: the log,
the evaluations and the comparisons stay as they are. Where the engine defines nothing in transactions, the relations
are left at the clock of the evaluation, and a column that the log lacked stays in it, empty.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from warehouse_ml.catalog import Clock, Node
from warehouse_ml.evaluation import EvaluationSpec, evaluate
from warehouse_ml.functions import placing
from warehouse_ml.loop.steps import bring_up_to_date
from warehouse_ml.registry import CHAMPION, StoredVersion
from warehouse_ml.requests.native import asked_there
from warehouse_ml.requests.predict import LOG_COLUMNS, REQUEST_COLUMNS, log_of, requests_of
from warehouse_ml.scoring import score_arrow
from warehouse_ml.session import Session
from warehouse_ml.tables import all_of, one_row, spooled, undone
from warehouse_ml.templates import environment, statement
from warehouse_ml.warehouses.base import Relation

__all__ = ["WindowDiff", "compare_window"]

_ASKED, _SCORED, _ROWS = Relation("_wml_diff_asked"), Relation("_wml_diff_scored"), Relation("_wml_diff_rows")


@dataclass(frozen=True)
class WindowDiff:
    """Two versions in one window of one evaluation.

    Parameters
    ----------
    evaluation : str
    reason : str or None
        Why there is nothing to compare; all else is empty then.
    window_start, window_end : datetime or None
        None where the window is everything.
    as_of : datetime or None
        What was known of the answers.
    is_mature : bool
    n_asked : tuple of int
        How many requests each version was asked now, as it had not been then.
    may_have_learned : tuple of bool
        Whether each version was trained when answers of the window may have been known: its metrics flatter it then.
    min_slice_size : int
        Groups of fewer requests are hidden.
    metrics : list of dict
        By slice and metric: before, before_lower, before_upper, now, now_lower, now_upper, difference with its interval
        ci_lower to ci_upper, p_value and p_adjusted, n, n_gained, n_lost, better, verdict.
    flips : list of dict
        By slice: n, n_flips, n_to_positive, n_to_negative, share, is_suppressed. Empty for a regression.
    """

    evaluation: str
    reason: str | None = None
    window_start: dt.datetime | None = None
    window_end: dt.datetime | None = None
    as_of: dt.datetime | None = None
    is_mature: bool = False
    n_asked: tuple[int, int] = (0, 0)
    may_have_learned: tuple[bool, bool] = (False, False)
    min_slice_size: int = 0
    metrics: list[dict[str, Any]] = field(default_factory=list)
    flips: list[dict[str, Any]] = field(default_factory=list)


def compare_window(session: Session, node: Node, before: StoredVersion, now: StoredVersion) -> WindowDiff:
    """Compare two versions over the latest mature window of an evaluation, as known when it was last evaluated.

    Parameters
    ----------
    session : Session
        Outside of a transaction. Relations are brought to the clock of that evaluation, and back.
    node : Node
        The evaluation.
    before, now : StoredVersion
    """
    warehouse, engine = session.warehouse, session.warehouse.engine
    spec = EvaluationSpec.from_config(node.name, node.config, place=node.place, definition_hash="")
    windows = warehouse.fetch(statement(__package__, "last_window.sql", engine), {"evaluation": node.name}).to_pylist()
    if not windows:
        return WindowDiff(node.name, reason="no window of it with answers was evaluated yet")
    window = _Window(**windows[0])
    told = None if warehouse.defines_in_transactions else _define(session, node, spec, (before, now), window)
    with undone(warehouse):
        if warehouse.defines_in_transactions:
            told = _define(session, node, spec, (before, now), window)
        if told:
            return WindowDiff(node.name, reason=told)
        n_asked = [_ask(session, str(spec.model), stored, window) for stored in (before, now)]
        versions = [stored.version.version for stored in (before, now)]
        names = {"versions": versions, "start": window.window_start, "end": window.window_end}
        log = log_of(str(spec.model))
        warehouse.run(statement(__package__, "as_if_served.sql", engine, log=log, **names), {"alias": CHAMPION})
        query = session.reader.query(node, Clock(window.as_of))
        with placing(query, warehouse):
            columns = warehouse.columns(query.sql)
        if "model_version" not in columns:
            return WindowDiff(node.name, reason="its query has no model_version to tell versions apart")
        rows = statement(
            __package__, "window_rows.sql", engine, target=_ROWS, query=query.sql, as_of=window.as_of, **names
        )
        with placing(query, warehouse):
            warehouse.run(rows)
        metrics = _metrics(session, spec, window, versions)
        flips = []
        if spec.task != "regression":
            slices = [("overall", ()), *((", ".join(columns), columns) for columns in spec.groupings)]
            sql = statement(
                __package__,
                "flips.sql",
                engine,
                rows=_ROWS,
                before=versions[0],
                now=versions[1],
                is_binary=spec.task == "binary",
                has_score="score" in columns and spec.task == "binary",
                threshold=spec.threshold,
                slice_columns=spec.slice_columns,
                slices=[{"key": key, "names": [_quoted(session, name) for name in names]} for key, names in slices],
                min_slice_size=spec.min_slice_size,
            )
            flips = warehouse.fetch(sql).to_pylist()
    return WindowDiff(
        evaluation=node.name,
        window_start=window.window_start,
        window_end=window.window_end,
        as_of=window.as_of,
        is_mature=window.is_mature,
        n_asked=(n_asked[0], n_asked[1]),
        may_have_learned=(window.is_before(before), window.is_before(now)),
        min_slice_size=spec.min_slice_size,
        metrics=metrics,
        flips=flips,
    )


@dataclass(frozen=True)
class _Window:
    window_start: dt.datetime | None
    window_end: dt.datetime | None
    is_mature: bool
    as_of: dt.datetime

    def is_before(self, stored: StoredVersion) -> bool:
        """Whether the version is younger than the window's start."""
        return self.window_start is None or stored.version.as_of > self.window_start


def _define(
    session: Session, node: Node, spec: EvaluationSpec, versions: Sequence[StoredVersion], window: _Window
) -> str | None:
    """Bring relations to the window's clock and the columns of versions into the log; return why that cannot be."""
    bring_up_to_date(session, window.as_of, [node.id])
    warehouse, model = session.warehouse, session.catalog.node("model", str(spec.model))
    for stored in versions:
        lacking = _lacking(session, model.name, stored)
        if lacking:
            version = f"{stored.version.model}@{stored.version.version}"
            return f"{version} cannot answer: neither the log nor the requests have {lacking[0]}"
    log = log_of(model.name)
    known = {name.lower() for name in warehouse.columns(all_of(warehouse, log))}
    missing = sorted({name.lower() for stored in versions for name in _inputs(stored)} - known)
    if missing:
        # Nobody was ever asked with it: the log has no such column, and the requests must have the values.
        requests = Relation(requests_of(session.catalog, model).name)
        types = {name.lower(): kind for name, kind in warehouse.columns(all_of(warehouse, requests)).items()}
        for name in missing:
            names = {"relation": log, "column": name, "column_type": types[name]}
            warehouse.run(statement("warehouse_ml.warehouses", "add_column.sql", warehouse.engine, **names))
    return None


def _lacking(session: Session, model: str, stored: StoredVersion) -> list[str]:
    """Return the inputs of a version that nobody logged and the requests do not have any more."""
    node = session.catalog.node("model", model)
    known: set[str] = set()
    for relation in (log_of(node.name), Relation(requests_of(session.catalog, node).name)):
        if session.warehouse.exists(relation):
            known |= {name.lower() for name in session.warehouse.columns(all_of(session.warehouse, relation))}
    return [name for name in _inputs(stored) if name.lower() not in known]


def _ask(session: Session, model: str, stored: StoredVersion, window: _Window) -> int:
    """Let a version answer what was asked in the window and it has not answered; return how many that were."""
    warehouse, engine = session.warehouse, session.warehouse.engine
    node = session.catalog.node("model", model)
    log = log_of(node.name)
    known = warehouse.columns(all_of(warehouse, log))
    kept = {name.lower() for name in LOG_COLUMNS}
    columns = [name for name in known if name.lower() not in kept]
    inputs = {name.lower() for name in _inputs(stored)}
    # Features that were logged with another version's answer are those of the request at the time.
    knowing = [
        version.version
        for version in session.registry.versions(node.name)
        if inputs <= {name.lower() for name in _inputs(session.registry.load(version))}
    ]
    requests = requests_of(session.catalog, node)
    relation = Relation(requests.name)
    has_requests = warehouse.exists(relation) and inputs <= {
        name.lower() for name in warehouse.columns(all_of(warehouse, relation))
    }
    warehouse.run(
        statement(
            __package__,
            "asked.sql",
            engine,
            target=_ASKED,
            log=log,
            columns=columns,
            features=[name for name in columns if name.lower() in inputs],
            knowing=knowing,
            version=stored.version.version,
            requests=relation if has_requests else None,
            start=window.window_start,
            end=window.window_end,
            as_of=window.as_of,
        )
    )
    count = statement("warehouse_ml.building", "count_rows.sql", engine, relation=_ASKED)
    n_asked = int(one_row(warehouse, count)["n_rows"])
    if n_asked:
        parameters, asked = stored.parameters, all_of(warehouse, _ASKED)
        if stored.native is not None:
            query = asked_there(warehouse, stored.version, stored.native, _inputs(stored), asked)
            warehouse.run(statement("warehouse_ml.functions", "keep.sql", engine, relation=_SCORED, query=query))
        else:
            with spooled(score_arrow(warehouse, parameters, asked, keep=REQUEST_COLUMNS[:1])) as scores:
                warehouse.load(_SCORED, scores, temporary=True)
        is_binary = parameters.task == "binary"
        told = {"model": node.name, "version": stored.version.version, "alias": CHAMPION, "logged_at": window.as_of}
        if is_binary:
            told |= {
                "threshold": float(node.config.get("threshold", 0.5)),
                "negative": parameters.classes[0],
                "positive": parameters.classes[-1],
            }
        names = {"log": log, "columns": columns, "asked": _ASKED, "scored": _SCORED, "is_binary": is_binary}
        warehouse.run(statement(__package__, "answer.sql", engine, **names), told)
    return n_asked


def _inputs(stored: StoredVersion) -> list[str]:
    return [column.name for column in stored.parameters.inputs if column.name.lower() not in REQUEST_COLUMNS]


def _metrics(session: Session, spec: EvaluationSpec, window: _Window, versions: Sequence[int]) -> list[dict[str, Any]]:
    """Return the metrics of both versions over the rows of the window, and how they differ in pairs."""
    warehouse, engine = session.warehouse, session.warehouse.engine
    before, now = versions
    done = evaluate(warehouse, spec, all_of(warehouse, _ROWS), as_of=window.as_of, restate=True)
    if not done:
        return []
    evaluations = [found.evaluation_id for found in done]
    measured = warehouse.fetch(statement(__package__, "window_metrics.sql", engine, evaluations=evaluations))
    asked = {
        "evaluation": spec.name,
        "as_of": window.as_of,
        "later": max(versions),
        "earlier": min(versions),
        "window_start": window.window_start,
    }
    compared = warehouse.fetch(statement(__package__, "window_comparisons.sql", engine), asked).to_pylist()
    pairs = {_key(row): _turned(row) if before > now else row for row in compared}
    sides: dict[tuple[str, str, str], dict[int, dict[str, Any]]] = {}
    for row in measured.to_pylist():
        sides.setdefault(_key(row), {})[row["version"]] = row
    positions = {", ".join(names): index for index, names in enumerate(spec.groupings, start=1)}
    rows = []
    for key in sorted(sides, key=lambda key: (positions.get(key[0], 0), key[1], key[2])):
        both, pair = sides[key], pairs.get(key, {})
        row = {"slice_key": key[0], "slice_value": key[1], "metric": key[2]}
        for name, version in (("before", before), ("now", now)):
            found = both.get(version, {})
            row |= {name: found.get("value"), f"{name}_lower": found.get("ci_lower")}
            row |= {f"{name}_upper": found.get("ci_upper")}
        either = next(iter(both.values()))
        names = ("difference", "ci_lower", "ci_upper", "p_value", "p_adjusted", "n_gained", "n_lost")
        row |= {name: pair.get(name) for name in names}
        row |= {"n": either["n"], "better": either["better"], "verdict": _verdict(pair, either["better"])}
        rows.append(row)
    return rows


def _key(row: dict[str, Any]) -> tuple[str, str, str]:
    return row["slice_key"], row["slice_value"], row["metric"]


def _turned(row: dict[str, Any]) -> dict[str, Any]:
    """Return a comparison the other way round: the tables have the later version less the earlier."""
    sign = {name: None if row[name] is None else -row[name] for name in ("difference", "ci_lower", "ci_upper")}
    turned = {"difference": sign["difference"], "ci_lower": sign["ci_upper"], "ci_upper": sign["ci_lower"]}
    return {**row, **turned, "n_gained": row["n_lost"], "n_lost": row["n_gained"]}


def _verdict(pair: dict[str, Any], better: str | None) -> str | None:
    """Return what the interval of the difference says, as ``wml.metric_changes`` words it."""
    if better is None or pair.get("ci_lower") is None:
        return None
    if pair["ci_lower"] <= 0 <= pair["ci_upper"]:
        return "no clear change"
    return "better" if (pair["difference"] > 0) == (better == "higher") else "worse"


def _quoted(session: Session, name: str) -> str:
    return f"pairs.{environment(session.warehouse.engine).filters['ident'](name)}"
