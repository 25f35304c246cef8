"""The DuckDB adapter: the only module that imports duckdb."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from warehouse_ml.errors import WarehouseError
from warehouse_ml.warehouses.base import Parameters, Relation

if TYPE_CHECKING:
    import pyarrow as pa

_LOADED_ROWS = "_wml_loaded_rows"


class DuckDBWarehouse:
    """A DuckDB file, or memory when ``path`` is None.

    Parameters
    ----------
    path : Path or None
        The database file; made if it is not there.
    name : str
        What the project calls this target.
    read_only : bool
        Open without the write lock, so that several readers fit beside each other.
    threads : int, optional
        Threads of the engine; its own default is every core.

    Raises
    ------
    WarehouseError
        If another process holds the file, the folder cannot be written, or the file is not a DuckDB database.
    """

    engine = "duckdb"

    def __init__(
        self,
        path: Path | None = None,
        *,
        name: str = "duckdb",
        read_only: bool = False,
        threads: int | None = None,
    ) -> None:
        self.name = name
        self.path = path
        self._depth = 0
        try:
            self._connection = duckdb.connect(str(path) if path else ":memory:", read_only=read_only)
        except duckdb.Error as error:
            raise _cannot_open(path, error) from None
        # Instants are compared and cut into days and weeks in UTC, whatever the machine's own zone.
        self._connection.execute("set TimeZone = 'UTC'")
        # The progress bar of the engine would write into ours.
        self._connection.execute("set enable_progress_bar = false")
        if threads is not None:
            self._connection.execute("set threads = $threads", {"threads": threads})

    def run(self, sql: str, parameters: Parameters | None = None) -> None:
        self._execute(sql, parameters)

    def fetch(self, sql: str, parameters: Parameters | None = None) -> pa.Table:
        with _driver_errors(sql), _interruptible():
            return self._query(sql, parameters).to_arrow_table()

    def stream(
        self, sql: str, parameters: Parameters | None = None, *, batch_rows: int = 100_000
    ) -> pa.RecordBatchReader:
        with _driver_errors(sql), _interruptible():
            return self._query(sql, parameters).to_arrow_reader(batch_rows)

    def load(self, relation: Relation, rows: pa.Table, *, append: bool = False) -> None:
        target = quoted(relation)
        verb = f"insert into {target} by name" if append else f"create or replace table {target} as"
        self._connection.register(_LOADED_ROWS, rows)
        try:
            self._execute(f"{verb} from {_LOADED_ROWS}")
        finally:
            self._connection.unregister(_LOADED_ROWS)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        if self._depth:
            self._depth += 1
            try:
                yield
            finally:
                self._depth -= 1
            return
        self._execute("begin transaction")
        self._depth = 1
        try:
            yield
        except BaseException:
            self._depth = 0
            self._roll_back()
            raise
        self._depth = 0
        try:
            self._execute("commit")
        except BaseException:
            self._roll_back()
            raise

    def exists(self, relation: Relation) -> bool:
        return self.kind(relation) is not None

    def kind(self, relation: Relation) -> str | None:
        rows = self._execute(
            "select table_type from information_schema.tables "
            "where table_catalog = current_database() "
            "and table_schema = $schema and lower(table_name) = lower($name)",
            {"schema": relation.schema or "main", "name": relation.name},
        ).fetchall()
        if not rows:
            return None
        return "view" if rows[0][0] == "VIEW" else "table"

    def columns(self, query: str, parameters: Parameters | None = None) -> dict[str, str]:
        rows = self._execute(f"describe {query}", parameters).fetchall()
        return {row[0]: row[1] for row in rows}

    def close(self) -> None:
        self._connection.close()

    def _roll_back(self) -> None:
        # The engine rolls back by itself on some failures; asking again is then its error, not ours.
        try:
            self._connection.execute("rollback")
        except duckdb.Error:
            return

    def _query(self, sql: str, parameters: Parameters | None) -> duckdb.DuckDBPyRelation:
        relation = self._connection.sql(sql, params=dict(parameters) if parameters else None)
        if relation is None:
            raise WarehouseError("the statement returns no rows", sql=sql, place="duckdb")
        return relation

    def _execute(self, sql: str, parameters: Parameters | None = None) -> duckdb.DuckDBPyConnection:
        with _driver_errors(sql), _interruptible():
            return self._connection.execute(sql, dict(parameters) if parameters else None)


def quoted(relation: Relation) -> str:
    """Return the relation's name as DuckDB SQL."""
    parts = [relation.schema, relation.name] if relation.schema else [relation.name]
    return ".".join('"' + part.replace('"', '""') + '"' for part in parts)


@contextmanager
def _interruptible() -> Iterator[None]:
    """Turn the engine's answer to Ctrl-C into KeyboardInterrupt.

    The driver swallows the signal while a query runs and raises RuntimeError("Query interrupted") instead.
    """
    try:
        yield
    except RuntimeError as error:
        if "interrupted" in str(error).lower():
            raise KeyboardInterrupt from None
        raise


@contextmanager
def _driver_errors(sql: str) -> Iterator[None]:
    try:
        yield
    except duckdb.InterruptException:
        raise KeyboardInterrupt from None
    except duckdb.Error as error:
        message = str(error).strip()
        raise WarehouseError(message, sql=sql, place="duckdb") from error


def _cannot_open(path: Path | None, error: duckdb.Error) -> WarehouseError:
    message = str(error)
    place = str(path)
    if "lock" in message.lower():
        holder = message.partition("Conflicting lock is held in ")[2].partition(". See")[0]
        return WarehouseError(
            f"the warehouse is open in another process: {holder or 'unknown'}",
            place=place,
            hint="wait for it or close it (a DuckDB file has one writer at a time)",
        )
    if path is not None and not os.access(path.parent, os.W_OK):
        return WarehouseError(
            "the folder cannot be written to",
            place=place,
            hint="make it writable, or set another path in wml.toml",
        )
    return WarehouseError(
        message.splitlines()[0], place=place, hint="is it a DuckDB database, of this version or older?"
    )
