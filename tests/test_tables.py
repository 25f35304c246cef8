"""The toolkit's own tables: made once a release, and again where one is missing."""

from __future__ import annotations

import pytest

from warehouse_ml.tables import ensure_tables
from warehouse_ml.warehouses.base import WML
from warehouse_ml.warehouses.duckdb import DuckDBWarehouse


@pytest.fixture
def warehouse():
    warehouse = DuckDBWarehouse()
    ensure_tables(warehouse)
    yield warehouse
    warehouse.close()


@pytest.mark.parametrize("statement", ["drop table wml.drift cascade", "drop view wml.metric_history"])
def test_what_is_missing_is_made_again(warehouse: DuckDBWarehouse, statement: str) -> None:
    whole = warehouse.kinds(WML)
    warehouse.run("insert into wml.trials (run_id) values ('kept')")
    warehouse.run(statement)
    assert warehouse.kinds(WML) != whole
    ensure_tables(warehouse)
    assert warehouse.kinds(WML) == whole
    assert warehouse.fetch("select run_id from wml.trials").to_pylist() == [{"run_id": "kept"}]


def test_tables_of_this_release_are_left_alone(warehouse: DuckDBWarehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []
    run = warehouse.run
    monkeypatch.setattr(warehouse, "run", lambda sql, *rest: (ran.append(sql), run(sql, *rest)))
    ensure_tables(warehouse)
    assert ran == []


def test_tables_of_another_release_are_looked_at_one_by_one(warehouse: DuckDBWarehouse) -> None:
    (before,) = warehouse.fetch(
        "select comment as told from duckdb_tables() where table_name = 'evaluations'"
    ).to_pylist()
    warehouse.run("comment on table wml.evaluations is 'earlier'")
    warehouse.run("alter table wml.builds drop column n_rows")
    ensure_tables(warehouse)
    assert "n_rows" in warehouse.columns("select * from wml.builds")
    (after,) = warehouse.fetch(
        "select comment as told from duckdb_tables() where table_name = 'evaluations'"
    ).to_pylist()
    assert after == before
