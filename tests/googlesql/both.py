"""A project's commands run twice, on DuckDB and on GoogleSQL's reference implementation, over the same rows."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.googlesql.warehouse import Asked, GoogleSqlWarehouse
from tests.tiny import edit, write_tiny
from tests.wml import Done, ok
from warehouse_ml import project as project_module
from warehouse_ml import session as session_module
from warehouse_ml.warehouses.base import Relation


class Both:
    """A small project in two folders, one an engine.

    Parameters
    ----------
    root : Path
        An empty folder.
    n_events : int
        How many of the small project's requests there are; one an hour from the first of January on.
    """

    def __init__(self, root: Path, n_events: int = 600, on_statement: Callable[[Asked], None] | None = None) -> None:
        self.duckdb = write_tiny(root / "duckdb")
        self.bigquery = write_tiny(root / "bigquery")
        events = pq.read_table(self.duckdb / "data" / "events.parquet").slice(0, n_events)
        for folder in (self.duckdb, self.bigquery):
            pq.write_table(events, folder / "data" / "events.parquet")
        edit(
            self.bigquery,
            "wml.toml",
            '[targets.duckdb]\npath = "warehouse.duckdb"\nthreads = 2\n',
            "[targets.bigquery]\n",
        )
        edit(self.bigquery, "wml.toml", 'events = "data/events.parquet"', 'events = "events"')
        self.warehouse = GoogleSqlWarehouse(on_statement=on_statement)
        self.warehouse.load(Relation("events"), events)

    def write(self, change: Callable[[Path], None]) -> None:
        """Change the files of both projects."""
        change(self.duckdb)
        change(self.bigquery)

    def run(self, *arguments: str) -> tuple[Done, Done]:
        """Run a command in both projects; both must succeed."""
        return ok(self.duckdb, *arguments), ok(self.bigquery, *arguments)

    def rows(self, query: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Return the rows of a query that both engines understand, in any order."""
        with duckdb.connect(str(self.duckdb / "warehouse.duckdb"), read_only=True) as connection:
            connection.execute("set TimeZone = 'UTC'")
            ours = connection.sql(query).to_arrow_table()
        return _plain(ours), _plain(self.warehouse.fetch(query))

    def agree(self, table: str, *, but: Collection[str] = (), within: float = 1e-9) -> int:
        """Compare a table's rows on both engines; return how many there are.

        Parameters
        ----------
        table : str
        but : collection of str
            Columns that differ by nature: what is hashed as the engine does, clocks.
        within : float
            The largest relative difference of two doubles.
        """
        ours, theirs = self.rows(f"select * from {table}")
        for row in (*ours, *theirs):
            for name in but:
                row.pop(name, None)
        same_rows(ours, theirs, within=within)
        return len(ours)


def same_rows(ours: list[dict[str, Any]], theirs: list[dict[str, Any]], *, within: float = 1e-9) -> None:
    """Assert that two engines gave the same rows, in whatever order."""
    assert len(ours) == len(theirs), f"{len(ours)} rows on DuckDB, {len(theirs)} on GoogleSQL"
    for left, right in zip(sorted(ours, key=_order), sorted(theirs, key=_order), strict=True):
        assert left.keys() == right.keys()
        for name, value in left.items():
            other = right[name]
            if isinstance(value, float) and isinstance(other, float):
                assert value == pytest.approx(other, rel=within, abs=within, nan_ok=True), (name, left, right)
            else:
                assert value == other, (name, left, right)


def _order(row: dict[str, Any]) -> str:
    # Doubles come last and are cut short: their last digits differ.
    exact = [repr(value) for value in row.values() if not isinstance(value, float)]
    return repr((exact, [f"{value:.6g}" for value in row.values() if isinstance(value, float)]))


def _plain(table: pa.Table) -> list[dict[str, Any]]:
    return pa.Table.from_arrays([_comparable(column) for column in table.columns], table.column_names).to_pylist()


def _comparable(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_timestamp(column.type):
        return column.cast(pa.timestamp("us", tz="UTC")).cast(pa.int64())
    return column.cast(pa.float64()) if pa.types.is_decimal(column.type) else column


@contextlib.contextmanager
def playing(both: Both) -> Iterator[Both]:
    """Let every command on the target bigquery meet the reference implementation."""
    opened = session_module.open_warehouse

    def open_warehouse(project: Any, target: Any, *, read_only: bool = False) -> Any:
        return both.warehouse if target.engine == "bigquery" else opened(project, target, read_only=read_only)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session_module, "open_warehouse", open_warehouse)
        patch.setattr(project_module, "ENGINES", ("duckdb", "bigquery"))
        yield both
