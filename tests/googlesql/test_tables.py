"""The toolkit's own tables and views."""

from __future__ import annotations

from tests.googlesql.both import Both
from tests.googlesql.warehouse import GoogleSqlWarehouse
from warehouse_ml.tables import ensure_tables
from warehouse_ml.warehouses.base import WML

PROVES = ("warehouses/schema.sql", "warehouses/tables.sql", "warehouses/tell_table.sql", "warehouses/select_all.sql")


def test_a_warehouse_of_either_engine_has_the_same_tables_and_columns(both: Both) -> None:
    both.run("build", "--as-of", "2024-01-02")
    ours, theirs = both.rows("select * from wml.builds")
    assert ours
    assert [sorted(row) for row in ours] == [sorted(row) for row in theirs]
    kinds = both.warehouse.kinds(WML)
    for name in ("metrics", "evaluations", "request_log", "latest_metrics", "leaderboard", "model_versions"):
        ours, theirs = both.rows(f"select * from wml.{name} where false")
        assert name in kinds
        assert ours == theirs


def test_tables_that_are_there_are_left_alone() -> None:
    asked: list[str] = []
    warehouse = GoogleSqlWarehouse(on_statement=lambda statement: asked.append(statement.sql))
    ensure_tables(warehouse)
    assert asked
    asked.clear()
    ensure_tables(warehouse)
    assert not asked
