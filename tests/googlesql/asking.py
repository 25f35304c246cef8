"""A project trained on DuckDB, whose versions are asked on DuckDB and on GoogleSQL's reference implementation."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests.googlesql.both import _plain, same_rows
from tests.googlesql.warehouse import GoogleSqlWarehouse
from tests.kinds import write_kinds
from tests.wml import ok
from warehouse_ml.functions import Context, expand
from warehouse_ml.session import open_session
from warehouse_ml.tables import ensure_tables
from warehouse_ml.warehouses.base import Relation

AS_OF = dt.datetime(2024, 3, 1, tzinfo=dt.UTC)

Rows = list[dict[str, Any]]


@dataclass
class Asking:
    """The same versions and the same tables on two engines."""

    duckdb: Context
    bigquery: Context

    def load(self, name: str, rows: pa.Table) -> None:
        """Put a table into both."""
        for context in (self.duckdb, self.bigquery):
            context.warehouse.load(Relation(name), rows)

    def text(self, sql: str, theirs: str | None = None) -> tuple[str, str]:
        """Return a query as plain SQL of each engine."""
        ours = expand(sql, self.duckdb, place="query").sql
        return ours, expand(theirs or sql, self.bigquery, place="query").sql

    def agree(self, sql: str, theirs: str | None = None, *, within: float = 1e-9) -> Rows:
        """Ask a query on both, in the words of each if they differ, compare the rows and return them."""
        ours, others = self.text(sql, theirs)
        left, right = self.duckdb.warehouse.fetch(ours), self.bigquery.warehouse.fetch(others)
        assert left.column_names == right.column_names
        found = _flat(_plain(left))
        same_rows(found, _flat(_plain(right)), within=within)
        return found


@contextmanager
def asking(root: Path, models: tuple[str, ...], n_events: int = 200) -> Iterator[Asking]:
    """Train models in an empty folder, and ask them."""
    write_kinds(root, models)
    events = root / "data" / "events.parquet"
    pq.write_table(pq.read_table(events).slice(0, n_events), events)
    for model in ("churn", *models):
        ok(root, "train", model, "--as-of", "2024-02-05")
    with open_session(root) as session:
        warehouse = GoogleSqlWarehouse()
        ensure_tables(warehouse)
        for name in ("churn_requests", "churn_labels"):
            warehouse.load(Relation(name), session.warehouse.fetch(f"select * from {name}"))
        ours = Context(session.warehouse, session.registry, AS_OF)
        yield Asking(ours, Context(warehouse, session.registry, AS_OF))


def _flat(rows: Rows) -> Rows:
    """Return the rows with what is in lists and structs as columns of their own, doubles to be compared as such."""
    return [dict(_leaves("", row)) for row in rows]


def _leaves(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, part in value.items():
            yield from _leaves(f"{name}.{key}" if name else key, part)
    elif isinstance(value, list):
        yield f"{name}[]", len(value)
        for index, part in enumerate(value):
            yield from _leaves(f"{name}[{index}]", part)
    else:
        yield name, value
