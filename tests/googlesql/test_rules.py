"""The rules' macros and the loop's own statements: two trained versions, evaluated windows written by hand."""

from __future__ import annotations

import datetime as dt
import itertools
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pytest

from tests.googlesql.both import Both, playing, same_rows
from tests.tiny import write
from warehouse_ml.catalog import Catalog
from warehouse_ml.errors import SqlError
from warehouse_ml.functions import Reader
from warehouse_ml.loop.learning import train_step
from warehouse_ml.project import load_project
from warehouse_ml.registry import Registry
from warehouse_ml.requests.predict import log_of
from warehouse_ml.rules import Firing, ask, record
from warehouse_ml.session import Session, open_session
from warehouse_ml.tables import ensure_tables
from warehouse_ml.templates import statement
from warehouse_ml.warehouses.base import Relation, Warehouse, wml_table

PROVES = (
    "loop/answered_since.sql",
    "loop/comparable_windows.sql",
    "loop/drift_current.sql",
    "loop/drift_reference.sql",
    "loop/last_trained_on.sql",
    "loop/open_since.sql",
    "registry/alias_periods.sql",
    "registry/registry_view.sql",
    "rules/record_firing.sql",
)

FIRST, SECOND, NOW = (dt.datetime(2024, 1, day, tzinfo=dt.UTC) for day in (9, 13, 16))
WEEK = dt.timedelta(weeks=1)
_TYPES = {
    str: pa.string(),
    int: pa.int64(),
    float: pa.float64(),
    bool: pa.bool_(),
    dt.datetime: pa.timestamp("us", "UTC"),
}


@dataclass
class Desk:
    """A project trained twice whose tables a test fills by hand, and whose rules it asks, on both engines."""

    both: Both
    session: Session
    registry: Registry
    ids: Iterator[int] = field(default_factory=itertools.count)

    @property
    def warehouses(self) -> tuple[Warehouse, Warehouse]:
        return self.session.warehouse, self.both.warehouse

    def ask(self, call: str, clock: dt.datetime = NOW, on: str = "alert", model: str | None = "churn") -> list[Any]:
        """Return the rows of a rule that is one call; both engines must give the same."""
        found = [self.ask_one(engine, call, clock, on, model) for engine in (0, 1)]
        same_rows(*found)
        return found[0]

    def ask_one(self, engine: int, call: str, clock: dt.datetime, on: str, model: str | None) -> list[dict[str, Any]]:
        """Return the rows that one engine gives."""
        about = f", model='{model}'" if model else ""
        folder = (self.both.duckdb, self.both.bigquery)[engine]
        write(folder, "sql/rules/asked.sql", f"{{{{ config(on='{on}'{about}) }}}}\n{{{{ {call} }}}}\n")
        project = load_project(folder)
        catalog = Catalog(project, project.target())
        reader = Reader(self.warehouses[engine], catalog, (self.session.registry, self.registry)[engine])
        (asked,) = ask(catalog, reader, clock)
        if asked.error is not None:
            raise asked.error
        return [dict(firing.row) for firing in asked.firings]

    def insert(self, table: str, row: dict[str, Any]) -> None:
        names = ", ".join(row)
        relation = Relation("one_row_of_a_test")
        given = pa.table({name: pa.array([value], _TYPES[type(value)]) for name, value in row.items()})
        for warehouse in self.warehouses:
            warehouse.load(relation, given)
            warehouse.run(f"insert into wml.{table} ({names}) select {names} from {relation}")

    def window(self, start: dt.datetime | None, rows: dict[str, list[dict[str, Any]]], **about: Any) -> None:
        """Write an evaluated window with rows of tables."""
        common = {
            "evaluation_id": f"e{next(self.ids)}",
            "evaluation": "churn",
            "model": "churn",
            "version": 2,
            "as_of": NOW,
        }
        common |= {"window_start": start, "window_end": start + WEEK} if start else {}
        common |= {name: value for name, value in about.items() if name in ("version", "as_of")}
        counts = {"n_requests": 100, "definition_hash": "d", "is_mature": about.get("is_mature", True)}
        self.insert("evaluations", common | counts)
        for table, own in rows.items():
            for row in own:
                self.insert(table, common | row)

    def rows(self, package: str, file: str, parameters: dict[str, Any], **names: Any) -> list[dict[str, Any]]:
        """Return the rows of one of the toolkit's queries, the same on both engines."""
        found = []
        for warehouse in self.warehouses:
            own = {name: value(warehouse) if callable(value) else value for name, value in names.items()}
            sql = statement(package, file, warehouse.engine, **own)
            found.append(_plain(warehouse.fetch(sql, parameters)))
        same_rows(*found)
        return found[0]


def _plain(table: pa.Table) -> list[dict[str, Any]]:
    columns = [
        column.cast(pa.timestamp("us", tz="UTC")) if pa.types.is_timestamp(column.type) else column
        for column in table.columns
    ]
    return pa.Table.from_arrays(columns, table.column_names).to_pylist()


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    both = Both(tmp_path_factory.mktemp("rules"), n_events=400)
    with playing(both), open_session(both.duckdb) as session:
        train_step(session, "churn", FIRST)
        train_step(session, "churn", SECOND, promote="always")
        shutil.copytree(both.duckdb / "artifacts", both.bigquery / "artifacts")
        registry = Registry(both.bigquery / "artifacts")
        ensure_tables(both.warehouse)
        registry.show_in(both.warehouse)
        for name in ("churn_requests", "churn_labels"):
            both.warehouse.load(Relation(name), session.warehouse.fetch(f"select * from {name}"))
        desk = Desk(both, session, registry)
        fill(desk)
        yield desk


def fill(desk: Desk) -> None:
    """Write three windows of the version that serves, an earlier one's, one over everything and one not mature."""
    disparities = [
        {"metric": metric, "slice_key": "region", "slice_value": group, "value": 0.4, "reference_slice": "north"}
        | {"reference_value": 0.6, "difference": difference, "p_adjusted": p, "n": 40, "highest_slice": "north"}
        | {"ratio_to_highest": 0.6}
        for metric in ("recall", "selection_rate")
        for group, difference, p in (("south", -0.2, 0.001), ("west", 0.3, 0.2))
    ]
    for age, value in ((1, 0.55), (2, 0.8), (3, 0.78)):
        metrics = [
            {"metric": metric, "value": value + step, "ci_lower": value + step - 0.02, "ci_upper": value + step + 0.02}
            | {"slice_key": key, "slice_value": slice_value, "better": "higher"}
            for metric in ("roc_auc", "recall")
            for step, key, slice_value in ((0.0, "overall", "all"), (0.1, "region", "north"), (-0.1, "region", "south"))
        ]
        desk.window(NOW - age * WEEK, {"metrics": metrics, "disparities": disparities if age == 1 else []})
    desk.window(NOW - WEEK, {"metrics": [{"metric": "roc_auc", "value": 0.2, "slice_key": "overall"}]}, version=1)
    desk.window(None, {})
    drifts = [
        {"metric": "psi", "kind": "input", "input": name, "value": value, "threshold": 0.2, "importance": 0.3}
        | {"reference": "training", "n_reference": 100, "n_current": 50}
        for name, value in (("amount", 0.4), ("visits", 0.1), ("region", 0.3))
    ]
    desk.window(NOW, {"drift": drifts}, is_mature=False)


@pytest.mark.parametrize(
    ("call", "n_rows"),
    [
        ("metric_below('roc_auc', 0.7)", 1),
        ("metric_below('roc_auc', 0.7, version='champion')", 1),
        ("metric_below('roc_auc', 0.7, version=2, rest_days=2)", 1),
        ("metric_below('roc_auc', 0.7, version=2, rest_days=4)", 0),
        ("metric_below('roc_auc', 0.57, slices='*', surely=true)", 1),
        ("metric_above('recall', 0.5, slices='region')", 1),
        ("metric_worse_than_before('roc_auc', windows=2, version=2, slices='*')", 3),
        ("metric_worse_than_before('roc_auc', by=0.9, version=2)", 0),
        ("slice_differs('recall', by=0.1, version=2)", 1),
        ("slice_differs('recall', by=0.1, version=2, side='above', significance=none)", 1),
        ("impact_ratio_below(0.8, version=2)", 2),
        ("input_drifts(version=2)", 2),
        ("input_drifts(version=2, above=0.35, importance_above=0.2, inputs=['amount', 'visits'])", 1),
        ("version_older_than(2)", 1),
        ("version_older_than(2, version='champion')", 1),
        ("version_older_than(4)", 0),
        ("new_rows(ref('churn_requests'), at='requested_at', version=1, more_than=3)", 1),
        ("commit_changed(version=1)", 0),
        ("on_schedule('0 2 * * *')", 1),
    ],
)
def test_a_rule_says_the_same(desk: Desk, call: str, n_rows: int) -> None:
    assert len(desk.ask(call)) == n_rows


def test_a_definition_is_compared_on_either_engine(desk: Desk) -> None:
    # The versions were trained from DuckDB's text, which GoogleSQL's differs from.
    asked = [desk.ask_one(engine, "definition_changed(version=1)", NOW, "alert", "churn") for engine in (0, 1)]
    assert [[row["reason"] for row in rows] for rows in asked] == [[], ["the definition has changed"]]


def test_rules_about_no_model_and_for_retraining_say_the_same(desk: Desk) -> None:
    assert desk.ask("metric_below('roc_auc', 0.7, evaluation='churn')", model=None)
    assert desk.ask("metric_worse_than_before('roc_auc', evaluation='churn')", model=None)
    assert desk.ask("metric_below('roc_auc', 0.7)", on="retrain")
    assert desk.ask("on_schedule('0 2 * * *', timezone='America/New_York')", on="retrain")
    assert not desk.ask("version_older_than(0)", FIRST - WEEK)


@pytest.mark.parametrize("engine", [0, 1])
def test_a_name_that_no_window_has_is_told(desk: Desk, engine: int) -> None:
    with pytest.raises(SqlError, match=r'no metric "roc_acu" in wml\.metrics'):
        desk.ask_one(engine, "metric_below('roc_acu', 0.7, version=2)", NOW, "alert", "churn")


def test_firings_are_kept_once(desk: Desk) -> None:
    rows = [{"reason": "it's due", "value": 0.5}, {"reason": "and again", "value": None}]
    for model, event in (("churn", "retrain"), (None, "alert")):
        found = []
        for warehouse in desk.warehouses:
            firings = [Firing("r", event, model, row) for row in rows]
            for _ in range(2):
                record(warehouse, NOW, "r", event, model, firings)
            # A model's newest version is not of this clock: nothing keeps what is withdrawn.
            record(warehouse, NOW - WEEK, "r", event, model, [])
            found.append(_plain(warehouse.fetch("select rule, model, as_of, returned_row from wml.rule_firings")))
            warehouse.run("delete from wml.rule_firings where true")
        same_rows(*found)
        assert len(found[0]) == 2


def test_the_loop_asks_the_same(desk: Desk) -> None:
    log = log_of("churn")
    asked = [
        {"request_id": f"r{i}", "version": 1 + i % 2, "alias": "champion" if i % 3 else "candidate", "amount": float(i)}
        | {"requested_at": FIRST + dt.timedelta(hours=i)}
        for i in range(60)
    ]
    rows = pa.Table.from_pylist(asked)
    for warehouse in desk.warehouses:
        warehouse.load(log, rows)
    package = "warehouse_ml.loop"
    (found,) = desk.rows(package, "answered_since.sql", {"at": SECOND}, log=log, serving=("champion", "canary"))
    assert found["n_requests"] == 0
    (found,) = desk.rows(package, "answered_since.sql", {"at": FIRST}, log=log, serving=("champion", "canary"))
    assert found["n_requests"] == 40
    for definition in ("d", "another"):
        names = {"evaluation": "churn", "definition_hash": definition}
        (found,) = desk.rows(package, "open_since.sql", names, log=log)
        assert found["open_since"] == FIRST
    windows = desk.rows(
        package,
        "comparable_windows.sql",
        {"model": "churn", "champion": 2, "as_of": NOW, "unseen_since": NOW - 2 * WEEK},
    )
    assert [row["window_start"] for row in windows] == [NOW - WEEK, NOW - 2 * WEEK, None]
    version = desk.registry.get("churn", "1")
    path = desk.session.registry.snapshot_path(version)
    (found,) = desk.rows(
        package,
        "last_trained_on.sql",
        {},
        column="requested_at",
        path=lambda warehouse: warehouse.parquet(path),
        held_out="eval",
    )
    assert found["last_at"] < FIRST
    for label, positive in (("has_churned", "true"), ("region", None), (None, None)):
        found = desk.rows(
            package,
            "drift_reference.sql",
            {},
            columns={"amount": None, "visits": None},
            path=lambda warehouse: warehouse.parquet(path),
            label=label,
            positive=positive,
        )
        assert len(found) > 90
    assert len(desk.rows(package, "drift_current.sql", {}, columns={"amount": None}, log=log, version=1)) == 30
    for view, n_rows in (("model_versions", 2), ("model_aliases", 3), ("alias_periods", 3)):
        found = [_plain(warehouse.fetch(f"select * from {wml_table(view)}")) for warehouse in desk.warehouses]
        same_rows(*found)
        assert len(found[0]) == n_rows
