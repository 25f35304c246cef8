"""The projects that ship with the package: every relation, rule, test and question, on a few hours of flights."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from tests.googlesql.both import _plain, same_rows
from tests.googlesql.warehouse import GoogleSqlWarehouse
from warehouse_ml.building import build
from warehouse_ml.catalog import Catalog, Clock, Node
from warehouse_ml.example import write_flights, write_starter
from warehouse_ml.functions import Reader
from warehouse_ml.project import Target, load_project
from warehouse_ml.registry import Registry
from warehouse_ml.requests.predict import ensure_log, log_of
from warehouse_ml.tables import ensure_tables
from warehouse_ml.templates import statement
from warehouse_ml.warehouses.base import Warehouse, wml_table
from warehouse_ml.warehouses.duckdb import DuckDBWarehouse

PROVES = ("example/questions/missed.sql", "example/questions/over_time.sql", "example/questions/retrained.sql")

SINCE, UNTIL = (dt.datetime(2013, 1, 1, hour, tzinfo=dt.UTC) for hour in (10, 23))
MIDDLE, CLOCK = dt.datetime(2013, 1, 1, 18, tzinfo=dt.UTC), dt.datetime(2013, 1, 3, tzinfo=dt.UTC)
AIRLINES = ("B6", "EV")
QUESTIONS = ("missed.sql", "over_time.sql", "retrained.sql")


class Side:
    """An example on one engine."""

    def __init__(self, root: Path, warehouse: Warehouse) -> None:
        self.warehouse = warehouse
        self.catalog = Catalog(load_project(root), Target(warehouse.engine, warehouse.engine, {}))
        registry = Registry.of(self.catalog.project)
        ensure_tables(warehouse)
        registry.show_in(warehouse)
        self.reader = Reader(warehouse, self.catalog, registry)
        for node in self.catalog.of_kind("model"):
            ensure_log(warehouse, self.catalog, node.name)

    def build(self, clock: dt.datetime) -> None:
        build(self.warehouse, self.catalog, self.reader, clock, self.catalog.of_kind("relation"))

    def rows(self, node: Node) -> list[dict[str, Any]]:
        return _plain(self.reader.fetch(node, Clock(CLOCK)))


def of_a_few_hours(root: Path) -> None:
    """Leave of the data the flights of two airlines on one day, their planes and the weather."""
    data = root / "data"
    flights = pq.read_table(data / "flights.parquet")
    departure = pc.field("scheduled_departure_at")
    flights = flights.filter((departure >= pa.scalar(SINCE)) & (departure < pa.scalar(UNTIL)))
    flights = flights.filter(pc.field("carrier").isin(AIRLINES))
    pq.write_table(flights, data / "flights.parquet")
    for name, is_kept in (
        ("planes", lambda: pc.field("tailnum").isin(flights["tailnum"].combine_chunks())),
        ("weather", lambda: (pc.field("hour_at") >= pa.scalar(SINCE)) & (pc.field("hour_at") < pa.scalar(UNTIL))),
    ):
        if (data / f"{name}.parquet").exists():
            pq.write_table(pq.read_table(data / f"{name}.parquet").filter(is_kept()), data / f"{name}.parquet")


@pytest.fixture(scope="module", params=[write_flights, write_starter])
def sides(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Side, Side]:
    write: Callable[[Path], Any] = request.param
    root = tmp_path_factory.mktemp(write.__name__) / "project"
    write(root)
    of_a_few_hours(root)
    found = Side(root, DuckDBWarehouse()), Side(root, GoogleSqlWarehouse())
    for side in found:
        # Built up to the middle of the day first, and then extended.
        side.build(MIDDLE)
        side.build(CLOCK)
    return found


def test_every_relation_has_the_same_rows(sides: tuple[Side, Side]) -> None:
    duck, google = sides
    n_rows = 0
    for node in duck.catalog.of_kind("relation"):
        ours, theirs = (_plain(side.warehouse.fetch(f"select * from {node.name}")) for side in (duck, google))
        same_rows(ours, theirs)
        n_rows += len(ours)
    assert n_rows > 300


def test_every_rule_and_test_says_the_same(sides: tuple[Side, Side]) -> None:
    duck, google = sides
    for kind in ("rule", "test"):
        for node in duck.catalog.of_kind(kind):
            same_rows(duck.rows(node), google.rows(google.catalog.nodes[node.id]))


def test_every_model_and_evaluation_is_understood(sides: tuple[Side, Side]) -> None:
    """What is trained on has the same columns and rows; an evaluation joins a log that has its columns."""
    trained_on = []
    for side in sides:
        (model,), (evaluation,) = side.catalog.of_kind("model"), side.catalog.of_kind("evaluation")
        text = side.reader.query(model, Clock(CLOCK)).sql
        trained_on.append(_plain(side.warehouse.fetch(text[text.index(") as") + len(") as") :])))
        types = side.warehouse.columns(f"select * from {model.config['requests']}")
        for name in types.keys() - {"request_id", "requested_at"}:
            names = {"relation": log_of(model.name), "column": name, "column_type": types[name]}
            side.warehouse.run(statement("warehouse_ml.warehouses", "add_column.sql", side.warehouse.engine, **names))
        joined = side.warehouse.columns(side.reader.query(evaluation, Clock(CLOCK)).sql)
        assert {"request_id", "requested_at", "model_version", "score", "label", "label_known_at"} <= joined.keys()
    same_rows(*trained_on)
    assert trained_on[0]


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_question_has_the_same_answer(question: str) -> None:
    """Over windows of two champions, written by hand."""
    sql = (files("warehouse_ml.example") / "questions" / question).read_text(encoding="utf-8").strip()
    assert sql == statement("warehouse_ml.example.questions", question, "bigquery")
    answers = []
    for warehouse in (DuckDBWarehouse(), GoogleSqlWarehouse()):
        weeks = [dt.datetime(2013, 4, 1, tzinfo=dt.UTC) + dt.timedelta(weeks=week) for week in range(12)]
        metrics = [
            {"window_start": week, "model": "late_arrival", "version": version, "slice_key": key, "slice_value": value}
            | {"metric": metric, "value": 0.6 + 0.001 * (7 * number + 3 * version) % 0.3, "denominator": 40.0 + number}
            for number, week in enumerate(weeks)
            for version in (1, 2)
            for metric in ("recall", "roc_auc")
            for key, value in (("overall", "all"), ("carrier", "AA"), ("origin", "JFK"))
        ]
        periods = [
            {"model": "late_arrival", "alias": "champion", "version": 1, "since": weeks[0], "until": weeks[6]},
            {"model": "late_arrival", "alias": "champion", "version": 2, "since": weeks[6], "until": None},
            {"model": "late_arrival", "alias": "challenger", "version": 1, "since": weeks[6], "until": None},
        ]
        warehouse.run(statement("warehouse_ml.warehouses", "schema.sql", warehouse.engine))
        warehouse.load(wml_table("latest_metrics"), pa.Table.from_pylist(metrics))
        warehouse.load(wml_table("alias_periods"), pa.Table.from_pylist(periods))
        answers.append(warehouse.fetch(sql).to_pylist())
    assert answers[0]
    same_rows(*answers)
