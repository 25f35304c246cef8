"""The DuckDB adapter: the only module that imports duckdb."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from warehouse_ml.errors import SqlError, WarehouseError, WmlError, did_you_mean
from warehouse_ml.warehouses.base import Parameters, Relation
from warehouse_ml.warehouses.interrupt import InterruptWatch

if TYPE_CHECKING:
    import pyarrow as pa

_EXPLAIN = "explain "
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
    memory_limit : int, optional
        Bytes that the engine may hold; what does not fit waits in ``<path>.tmp/``, of a database in memory in
        ``.tmp/``. Its own default is four fifths of the machine.

    Raises
    ------
    WarehouseError
        If another process holds the file, the folder cannot be written, or the file is not a DuckDB database.
    """

    engine = "duckdb"
    defines_in_transactions = True

    def __init__(
        self,
        path: Path | None = None,
        *,
        name: str = "duckdb",
        read_only: bool = False,
        threads: int | None = None,
        memory_limit: int | None = None,
    ) -> None:
        self.name = name
        self.path = path
        self._depth = 0
        try:
            self._connection = duckdb.connect(str(path) if path else ":memory:", read_only=read_only)
        except duckdb.Error as error:
            raise _cannot_open(path, error) from None
        self._watch = InterruptWatch(self._connection.interrupt)
        # Instants are compared and cut into days and weeks in UTC, whatever the machine's own zone.
        self._connection.execute("set TimeZone = 'UTC'")
        # Errors name the position and the candidates, so that none of it is picked out of prose.
        self._connection.execute("set errors_as_json = true")
        # The progress bar of the engine would write into ours.
        self._connection.execute("set enable_progress_bar = false")
        # Looking for expressions that occur twice takes time that grows with the square of a select list: a minute for
        # 4,000 columns, and an eighth of a weekly evaluation. Ours hardly repeat any, and run no faster for it.
        self._connection.execute("set disabled_optimizers = 'common_subexpressions'")
        # A checkpoint rewrites row groups; a year replayed week by week would spend a tenth of its time on them.
        self._connection.execute("set checkpoint_threshold = '1GB'")
        if threads is not None:
            self._connection.execute("set threads = $threads", {"threads": threads})
        if memory_limit is not None:
            self._connection.execute("set memory_limit = $limit", {"limit": f"{memory_limit}B"})

    def run(self, sql: str, parameters: Parameters | None = None) -> None:
        self._execute(sql, parameters)

    def fetch(self, sql: str, parameters: Parameters | None = None) -> pa.Table:
        cursor = self._execute(sql, parameters)
        # The driver recommends its relations for large results, and binds each statement three times for them.
        with _driver_errors(sql), _interruptible(), warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            return cursor.to_arrow_table()

    def stream(
        self, sql: str, parameters: Parameters | None = None, *, batch_rows: int = 100_000
    ) -> pa.RecordBatchReader:
        with _driver_errors(sql), _interruptible():
            return self._query(sql, parameters).to_arrow_reader(batch_rows)

    def load(self, relation: Relation, rows: pa.Table, *, temporary: bool = False) -> None:
        kind = "temp table" if temporary else "table"
        self._connection.register(_LOADED_ROWS, rows)
        try:
            self._execute(f"create or replace {kind} {quoted(relation)} as from {_LOADED_ROWS}")
        finally:
            self._connection.unregister(_LOADED_ROWS)

    def drop_temporary(self, names: Iterable[str]) -> None:
        self._execute("; ".join(f"drop table if exists {quoted(Relation(name, 'temp'))}" for name in names))

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
        return self.kinds(relation.schema).get(relation.name.lower())

    def kinds(self, schema: str | None = None) -> dict[str, str]:
        rows = self._execute(
            "select lower(table_name), table_type from information_schema.tables "
            "where table_catalog = current_database() and table_schema = $schema",
            {"schema": schema or "main"},
        ).fetchall()
        return {name: "view" if kind == "VIEW" else "table" for name, kind in rows}

    def columns(self, query: str, parameters: Parameters | None = None) -> dict[str, str]:
        rows = self._execute(f"describe {query}", parameters).fetchall()
        return {row[0]: row[1] for row in rows}

    def dry_run(self, sql: str, parameters: Parameters | None = None) -> int | None:
        # Understood, and not run. What it reads costs nothing here, and is not told.
        self._execute(f"{_EXPLAIN}{sql}", parameters)
        return None

    def description(self, relation: Relation) -> str | None:
        row = self._execute(
            "select comment from duckdb_tables() where database_name = current_database() "
            "and schema_name = $schema and table_name = $name",
            {"schema": relation.schema or "main", "name": relation.name},
        ).fetchone()
        return row[0] if row else None

    def parquet(self, path: Path) -> str | Relation:
        return path.resolve().as_posix()

    def table_functions(self, mark: str) -> dict[str, str] | None:
        rows = self._execute(
            "select function_name, comment from duckdb_functions() "
            "where function_type = 'table_macro' and not internal and starts_with(comment, $mark)",
            {"mark": mark},
        ).fetchall()
        return dict(rows)

    def facts(self) -> dict[str, str]:
        """Return what the engine says of itself: version, threads, memory_limit, extensions that are loaded."""
        row = self._execute(
            "select version(), current_setting('threads'), current_setting('memory_limit'), "
            "(select string_agg(extension_name, ', ' order by extension_name) from duckdb_extensions() where loaded)"
        ).fetchone()
        values = [str(value) if value is not None else "" for value in row or [None] * 4]
        return dict(zip(("version", "threads", "memory_limit", "extensions"), values, strict=True))

    def close(self) -> None:
        self._watch.close()
        self._connection.close()

    def _roll_back(self) -> None:
        # The engine rolls back by itself on some failures; asking again is then its error, not ours.
        try:
            self._connection.execute("rollback")
        except duckdb.Error:
            return

    def _query(self, sql: str, parameters: Parameters | None) -> duckdb.DuckDBPyRelation:
        bound = dict(parameters) if parameters else None
        try:
            relation = self._connection.sql(sql, params=bound)
        except (duckdb.BinderException, duckdb.CatalogException, duckdb.ParserException):
            # Only a plain statement's error says where it is and what was near.
            try:
                self._execute(f"{_EXPLAIN}{sql}", bound)
            except SqlError as error:
                error.sql = sql
                error.position = None if error.position is None else error.position - len(_EXPLAIN)
                raise
            raise
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
        raise _told(error, sql) from None


_USERS_MISTAKES = frozenset(
    {"Binder", "Catalog", "Constraint", "Conversion", "Invalid Input", "Out of Range", "Parser", "Syntax"}
)
_MISSING = {"COLUMN_NOT_FOUND": "column", "MISSING_ENTRY": "relation"}


def _told(error: duckdb.Error, sql: str) -> WmlError:
    """Turn the driver's error into ours, with its line and the names that were near."""
    kind, _, text = str(error).partition(" Error: ")
    try:
        details = json.loads(text)
    except json.JSONDecodeError:
        details = {"exception_message": text or str(error)}
    message = details.get("exception_message", text).strip()
    candidates = [name for name in details.get("candidates", "").split(",") if name]
    missing = _MISSING.get(details.get("error_subtype", ""))
    name = details.get("name")
    hint = None
    if missing and name:
        what = {"Table": "relation"}.get(details.get("type", ""), missing if missing == "column" else details["type"])
        message = f'no {what.lower()} "{name}"'
        hint = did_you_mean(name, candidates)
    else:
        message = message.splitlines()[0]
    if kind not in _USERS_MISTAKES:
        if kind == "Out of Memory":
            hint = "raise memory_limit in wml.toml, or set fewer threads: each holds rows of its own"
        return WarehouseError(message, sql=sql, place="duckdb", hint=hint)
    position = details.get("position")
    before = sql.encode()[: int(position)].decode(errors="ignore") if position is not None else None
    return SqlError(
        message,
        sql=sql,
        line=None if before is None else before.count("\n") + 1,
        position=None if before is None else len(before),
        has=candidates if missing and candidates else None,
        hint=hint,
    )


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
