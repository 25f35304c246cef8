"""A warehouse in memory with the toolkit's tables, and a way to evaluate rows written in a test."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pytest

from warehouse_ml.evaluation import EvaluatedWindow, EvaluationSpec, evaluate
from warehouse_ml.tables import ensure_tables
from warehouse_ml.warehouses.base import Relation
from warehouse_ml.warehouses.duckdb import DuckDBWarehouse

AS_OF = dt.datetime(2024, 3, 1, tzinfo=dt.UTC)
FIRST_DAY = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)


@pytest.fixture
def warehouse() -> Iterator[DuckDBWarehouse]:
    warehouse = DuckDBWarehouse(None)
    ensure_tables(warehouse)
    yield warehouse
    warehouse.close()


def make_spec(definition_hash: str = "d1", name: str = "late", **config: Any) -> EvaluationSpec:
    return EvaluationSpec.from_config(name, config, place="sql/evaluation/late.sql", definition_hash=definition_hash)


def with_requests(rows: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    """Add the columns that every join has, where a test does not care for them."""
    n = len(next(iter(rows.values())))
    added: dict[str, Any] = {"request_id": [f"r{i:06d}" for i in range(n)]}
    added["requested_at"] = [FIRST_DAY + dt.timedelta(minutes=i) for i in range(n)]
    return {**added, **rows}


Evaluate = Callable[..., list[EvaluatedWindow]]


@pytest.fixture
def run(warehouse: DuckDBWarehouse) -> Evaluate:
    def run_rows(
        rows: Mapping[str, Sequence[Any]],
        *,
        as_of: dt.datetime = AS_OF,
        definition_hash: str = "d1",
        restate: bool = False,
        drift: Sequence[Any] = (),
        **config: Any,
    ) -> list[EvaluatedWindow]:
        warehouse.load(Relation("joined_rows"), pa.table(with_requests(rows)))
        return evaluate(
            warehouse,
            make_spec(definition_hash, **config),
            "select * from joined_rows  -- of a test\n;",
            as_of=as_of,
            restate=restate,
            drift=drift,
        )

    return run_rows


def table(warehouse: DuckDBWarehouse, name: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = warehouse.fetch(f"select * from wml.{name} order by all").to_pylist()
    return rows


def metrics_of(warehouse: DuckDBWarehouse, slice_key: str = "overall") -> dict[str, dict[str, dict[str, Any]]]:
    """Return slice value -> metric -> row."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for row in table(warehouse, "latest_metrics"):
        if row["slice_key"] == slice_key:
            found.setdefault(row["slice_value"], {})[row["metric"]] = row
    return found


def fairness_of(warehouse: DuckDBWarehouse, slice_key: str) -> dict[tuple[str, str], dict[str, Any]]:
    return {
        (row["metric"], row["aggregate"]): row
        for row in table(warehouse, "latest_fairness")
        if row["slice_key"] == slice_key
    }
