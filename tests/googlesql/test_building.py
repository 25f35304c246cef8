"""Relations: built, extended and replaced alike on both engines, refused alike, and never left in between."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pyarrow as pa
import pytest

from tests.googlesql.both import Both, playing
from tests.googlesql.warehouse import Asked, GoogleSqlWarehouse
from tests.tiny import FILES, edit, write
from tests.wml import ok, wml
from warehouse_ml.building import build
from warehouse_ml.catalog import Catalog
from warehouse_ml.errors import SqlError
from warehouse_ml.functions import Reader
from warehouse_ml.project import Target, load_project
from warehouse_ml.registry import Registry
from warehouse_ml.tables import ensure_tables
from warehouse_ml.warehouses.base import Relation

PROVES = (
    "building/builds.sql",
    "building/check_requests.sql",
    "building/check_window.sql",
    "building/count_rows.sql",
    "building/create_relation.sql",
    "building/drop_relation.sql",
    "building/example_duplicate.sql",
    "building/example_known_later.sql",
    "building/example_overlap.sql",
    "building/forget_build.sql",
    "building/record_build.sql",
    "building/record_definition.sql",
    "building/replace_window.sql",
    "warehouses/parameter.sql",
)

REQUESTS, LABELS = "sql/requests/churn_requests.sql", "sql/features/churn_labels.sql"
HASHES = ("definition_hash", "inputs_hash")
CLOCKS = ("duration_seconds", "built_at")


def test_relations_are_built_extended_and_built_again_alike(both: Both) -> None:
    for clock in ("2024-01-05", "2024-01-09", "2024-01-09", "2024-01-07"):
        both.run("build", "--as-of", clock)
        assert both.agree("churn_requests") > 0
        assert both.agree("churn_labels") > 0
        both.agree("wml.builds", but=(*HASHES, *CLOCKS))
    definitions = both.rows("select relation, upstream <> '{}' as has_upstream from wml.definitions")
    assert definitions[0] == definitions[1]
    done = both.run("test", "--as-of", "2024-01-12")
    assert done[0].out == done[1].out


def test_a_relation_of_another_kind_takes_the_place_of_the_first(both: Both) -> None:
    old = "materialized='incremental', event_time='requested_at'"
    for kind in ("incremental', event_time='requested_at", "view", "table"):
        new = f"materialized='{kind}'"
        both.write(lambda folder, old=old, new=new: edit(folder, REQUESTS, old, new))
        both.run("build", "--as-of", "2024-01-05")
        assert both.agree("churn_requests") == 96
        assert both.warehouse.kind(Relation("churn_requests")) == ("view" if kind == "view" else "table")
        old = new


@pytest.mark.parametrize(
    ("new", "told"),
    [
        ("'r1' as request_id", "request_id is not unique"),
        ("nullif(events.request_id, 'r200') as request_id", "have no request_id"),
        ("events.request_id, events.seen_at as late_known_at", None),
    ],
)
def test_what_is_refused_is_refused_alike_and_leaves_what_was_there(both: Both, new: str, told: str | None) -> None:
    both.run("build", "--as-of", "2024-01-05")
    before = both.rows("select * from churn_requests")
    if told is None:
        told = "known only later"
        both.write(
            lambda folder: edit(
                folder,
                REQUESTS,
                "events.seen_at as",
                "events.requested_at as plain_at,\n    cast('2024-01-03 00:00:00+00' as {{ type('timestamp') }}) as",
            )
        )
    else:
        both.write(lambda folder: edit(folder, REQUESTS, "events.request_id", new))
    done = [wml(folder, "build", "--as-of", "2024-01-12") for folder in (both.duckdb, both.bigquery)]
    assert [one.code for one in done] == [done[0].code] * 2 != [0, 0]
    assert told in done[0].err
    assert done[0].err == done[1].err
    assert both.rows("select * from churn_requests") == before


def test_rows_outside_of_the_window_and_rows_of_an_earlier_one_are_refused_alike(both: Both) -> None:
    both.run("build", "--as-of", "2024-01-05")
    before = both.rows("select * from churn_requests")
    text = FILES[REQUESTS]
    where = text[text.index("where ") :]
    both.write(lambda folder: write(folder, REQUESTS, text.replace(where, "")))
    done = [wml(folder, "build", "--as-of", "2024-01-06") for folder in (both.duckdb, both.bigquery)]
    assert "lie outside the window" in done[0].err
    assert done[0].err == done[1].err
    # The text is the one that was built, and rows of the first window come again with a later time.
    both.write(lambda folder: write(folder, REQUESTS, text))
    shifted = both.warehouse.fetch("select * from events")
    early = shifted.filter(pa.compute.field("request_id") == "r5")
    moved = early.set_column(
        early.column_names.index("requested_at"),
        "requested_at",
        pa.array([dt.datetime(2024, 1, 5, 1, tzinfo=dt.UTC)], shifted.schema.field("requested_at").type),
    )
    again = pa.concat_tables([shifted, moved])
    both.warehouse.load(Relation("events"), again)
    pa.parquet.write_table(again, both.duckdb / "data" / "events.parquet")
    done = [wml(folder, "build", "--as-of", "2024-01-06") for folder in (both.duckdb, both.bigquery)]
    assert "were there before" in done[0].err
    assert done[0].err == done[1].err
    assert both.rows("select * from churn_requests") == before


class _Crash(BaseException):
    pass


def test_a_build_that_dies_before_any_statement_is_done_again(tmp_path: Path) -> None:
    """Killed before each statement that changes anything, then run again: all is as if it had never been killed."""
    left: list[int] = []

    def count_down(asked: Asked) -> None:
        if left and any(f"\n{word} " in f"\n{asked.sql}" for word in ("create", "drop", "delete", "insert")):
            left[0] -= 1
            if left[0] == 0:
                left.clear()
                raise _Crash

    with playing(Both(tmp_path, 120, count_down)) as both:
        both.run("build", "--as-of", "2024-01-03")
        labels = "materialized='table'"
        both.write(lambda folder: write(folder, LABELS, f"{{{{ config({labels}) }}}}\n{FILES[LABELS]}"))
        state, n_crashed = both.warehouse._state.copy(), 0
        ok(both.duckdb, "build", "--as-of", "2024-01-05")
        while True:
            both.warehouse._state = state.copy()
            both.warehouse._read.clear()
            left[:] = [n_crashed + 1]
            try:
                ok(both.bigquery, "build", "--as-of", "2024-01-05")
            except _Crash:
                n_crashed += 1
            if left:
                break
            both.warehouse.close()
            # An earlier clock between the two must not see what the killed one knew.
            if n_crashed % 3 == 0:
                ok(both.bigquery, "build", "--as-of", "2024-01-04")
                latest = both.warehouse.fetch("select max(requested_at) as last_at from churn_requests")["last_at"][
                    0
                ].as_py()
                assert latest < dt.datetime(2024, 1, 4, tzinfo=dt.UTC)
            ok(both.bigquery, "build", "--as-of", "2024-01-05")
            both.agree("churn_requests")
            both.agree("churn_labels")
            both.agree("wml.builds", but=(*HASHES, *CLOCKS, "window_start"))
        left.clear()
    assert n_crashed >= 4


def test_nothing_permanent_is_defined_inside_of_a_transaction() -> None:
    warehouse = GoogleSqlWarehouse()
    ensure_tables(warehouse)
    warehouse.run("create table kept (n int64)")
    with warehouse.transaction():
        warehouse.run("create temp table scratch as select 1 as n")
        warehouse.run("insert into kept (n) values (1)")
        for sql in (
            "create table other as select 1 as n",
            "create or replace view shown as select 1 as n",
            "alter table kept add column m int64",
            "drop table kept",
        ):
            with pytest.raises(SqlError, match="inside of a transaction"):
                warehouse.run(sql)
        warehouse.run("drop table if exists _session.scratch")
    assert warehouse.fetch("select n from kept")["n"].to_pylist() == [1]


@pytest.mark.parametrize(
    ("named", "written"),
    [
        ("raw.events", "`raw`.`events`"),
        ("my-project.raw.events", "`my-project`.`raw`.`events`"),
        ("`my-project.raw.events`", "`my-project`.`raw`.`events`"),
        ("example.com:billing.raw.events", "`example.com:billing`.`raw`.`events`"),
        ("events", "`shop`.`events`"),
    ],
)
def test_a_source_is_a_table_of_any_project(tmp_path: Path, named: str, written: str) -> None:
    for place, text in FILES.items():
        write(tmp_path, place, text)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "events.parquet").touch()
    edit(tmp_path, "wml.toml", "[vars]", f'[sources.bigquery]\nevents = "{named}"\n\n[vars]')
    project = load_project(tmp_path)
    catalog = Catalog(project, Target("bigquery", "bigquery", {"project": "my-project", "dataset": "shop"}))
    text = catalog.definition_text(catalog.node("relation", "churn_requests"))
    assert f"from {written} as events" in text


def test_a_table_of_another_project_is_read(tmp_path: Path, both: Both) -> None:
    both.warehouse.load(Relation("events", "raw"), both.warehouse.fetch("select * from events"))
    edit(both.bigquery, "wml.toml", 'events = "events"', 'events = "my-project.raw.events"')
    project = load_project(both.bigquery)
    catalog = Catalog(project, project.target())
    ensure_tables(both.warehouse)
    reader = Reader(both.warehouse, catalog, Registry.of(project))
    node = catalog.node("relation", "churn_requests")
    (built,) = build(both.warehouse, catalog, reader, dt.datetime(2024, 1, 5, tzinfo=dt.UTC), [node])
    assert built.n_rows == 96
