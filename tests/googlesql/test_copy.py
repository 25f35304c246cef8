"""A history that is copied to GoogleSQL's reference implementation is the same there."""

from __future__ import annotations

from tests.googlesql.both import Both
from tests.googlesql.warehouse import GoogleSqlWarehouse
from tests.wml import ok
from warehouse_ml.copying import copy_history
from warehouse_ml.project import load_project
from warehouse_ml.registry import Registry
from warehouse_ml.warehouses.base import Relation, wml_table
from warehouse_ml.warehouses.duckdb import DuckDBWarehouse

PROVES = ("copying/insert_rows.sql", "copying/delete_rows.sql")


def test_all_rows_arrive_and_what_is_not_the_sources_goes(both: Both) -> None:
    ok(both.duckdb, "run", "--as-of", "2024-01-08")
    ok(both.duckdb, "run", "--as-of", "2024-01-15")
    registry = Registry.of(load_project(both.duckdb))
    target = GoogleSqlWarehouse()
    source = DuckDBWarehouse(both.duckdb / "warehouse.duckdb", read_only=True)
    try:
        done = {row.table: row for row in copy_history(source, target, registry)}
        assert done["request_log_churn"].n_new == 7 * 24
        assert {row.action for row in copy_history(source, target, registry)} == {"same"}
        rows = target.fetch("select * from wml.metrics")
        target.load(wml_table("metrics"), rows.slice(1))
        target.load(Relation("unrelated"), rows.slice(0, 1))
        target.run("insert into `wml`.`training_runs` (run_id) values ('of another')")
        again = {row.table: row for row in copy_history(source, target, registry, replace=True)}
        assert (again["metrics"].action, again["metrics"].n_new) == ("extended", 1)
        assert again["training_runs"].action == "replaced"
        assert again["metrics"].digest == done["metrics"].digest
        assert again["training_runs"].digest == done["training_runs"].digest
    finally:
        source.close()
