"""The toolkit's own tables: made once, added to, never renamed."""

from __future__ import annotations

import datetime as dt
import hashlib
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlglot
from sqlglot import exp

from warehouse_ml.templates import macro_source, statement, statements
from warehouse_ml.warehouses.base import WML, Parameters, Relation, Warehouse, wml_table

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "add_columns",
    "all_of",
    "ensure_tables",
    "named_rows",
    "one_row",
    "rows_of",
    "run_file",
    "spooled",
    "undone",
]

_HERE = "warehouse_ml.warehouses"
_TABLE = "create table if not exists "
_MADE_BY = ("schema.sql", "tables.sql", "resliced.sql")
_TELLING = "evaluations"
_EPOCH = dt.datetime(1970, 1, 1)


def ensure_tables(warehouse: Warehouse) -> None:
    """Create the ``wml`` schema, its tables and views where they are missing, and columns that came with a release.

    One of the tables says which release made them all, and what they are: as long as it is this one and all are there,
    there is nothing to do, and most commands are spared a tenth of a second.
    """
    made_of = [(files(_HERE) / name).read_text(encoding="utf-8") for name in _MADE_BY]
    made_of.append(macro_source(warehouse.engine))
    digest = hashlib.md5("".join(made_of).encode(), usedforsecurity=False).hexdigest()
    there = warehouse.kinds(WML)
    if _TELLING in there:
        told = (warehouse.description(wml_table(_TELLING)) or "").split()
        if told[:1] == [digest] and set(told[1:]) <= set(there):
            return
    with warehouse.transaction():
        warehouse.run(statement(_HERE, "schema.sql", warehouse.engine))
        for sql in statements(_HERE, "tables.sql", warehouse.engine):
            if _TABLE not in sql:
                # A view is made anew, without being read into a tree before.
                warehouse.run(sql)
                continue
            declared = sqlglot.parse_one(sql, read=warehouse.engine)
            table = declared.find(exp.Table)
            if table and declared.find(exp.Schema) and table.name.lower() in there:
                add_columns(warehouse, wml_table(table.name), declared)
            else:
                warehouse.run(sql)
        run_file(warehouse, _HERE, "resliced.sql")
        # Request logs and what stands on them come and go; the rest is always there.
        names = [name for name in sorted(warehouse.kinds(WML)) if not name.startswith("request_log")]
        words = " ".join([digest, *names])
        warehouse.run(statement(_HERE, "tell_table.sql", warehouse.engine, name=_TELLING, told=words))


def add_columns(warehouse: Warehouse, relation: Relation, declared: exp.Expr | str) -> None:
    """Add the columns of a CREATE TABLE statement that a table does not have yet; rows that are there have null."""
    declared = sqlglot.parse_one(declared, read=warehouse.engine) if isinstance(declared, str) else declared
    known = {name.lower() for name in warehouse.columns(all_of(warehouse, relation))}
    for column in declared.find_all(exp.ColumnDef):
        if column.name.lower() not in known:
            column_type = column.args["kind"].sql(dialect=warehouse.engine)
            names = {"relation": relation, "column": column.name, "column_type": column_type}
            warehouse.run(statement(_HERE, "add_column.sql", warehouse.engine, **names))


def run_file(
    warehouse: Warehouse, package: str, file: str, parameters: dict[str, object] | None = None, **names: object
) -> None:
    """Run every statement of a .sql file, each with those of the parameters that it names."""
    for sql in statements(package, file, warehouse.engine, **names):
        named = {key: value for key, value in (parameters or {}).items() if _mentions(sql, key, warehouse.engine)}
        warehouse.run(sql, named)


def all_of(warehouse: Warehouse, relation: Relation) -> str:
    """Return the query of every row of a relation."""
    return statement(_HERE, "select_all.sql", warehouse.engine, relation=relation)


def one_row(warehouse: Warehouse, sql: str, parameters: Parameters | None = None) -> dict[str, Any]:
    """Return the first row of a query that always has one."""
    return named_rows(warehouse.fetch(sql, parameters))[0]


def named_rows(rows: pa.Table) -> list[dict[str, Any]]:
    """Return each row of a table by the names of its columns; instants are in UTC."""
    return [dict(zip(rows.column_names, row, strict=True)) for row in rows_of(rows)]


def rows_of(rows: pa.Table) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of a table; instants are in UTC.

    Several times as fast as Arrow makes datetimes, and without pandas, which it imports for the first of them.
    """
    return zip(*(_values(column) for column in rows.columns), strict=True)


def _values(column: pa.ChunkedArray) -> list[Any]:
    import pyarrow as pa

    kind = column.type
    if not pa.types.is_timestamp(kind) or kind.unit != "us":
        values: list[Any] = column.to_pylist()
        return values
    epoch = _EPOCH.replace(tzinfo=dt.UTC) if kind.tz else _EPOCH
    instants = [at for chunk in column.chunks for at in chunk.view(pa.int64()).to_pylist()]
    return [None if at is None else epoch + dt.timedelta(microseconds=at) for at in instants]


@contextmanager
def spooled(batches: pa.RecordBatchReader) -> Iterator[pa.Table]:
    """Yield the rows of a reader as a table that lies in a file, so that memory does not grow with them.

    A connection that is being read from can take no other statement; when the table is there, it can.
    """
    import pyarrow as pa

    with tempfile.TemporaryDirectory(prefix="wml-") as folder:
        path = str(Path(folder) / "rows.arrows")
        with pa.OSFile(path, "wb") as file, pa.ipc.new_stream(file, batches.schema) as writer:
            for batch in batches:
                writer.write_batch(batch)
        with pa.memory_map(path) as mapped:
            yield pa.ipc.open_stream(mapped).read_all()


class _Undone(BaseException):
    """Ends a transaction whose work is not to be kept."""


@contextmanager
def undone(warehouse: Warehouse) -> Iterator[None]:
    """Run a block in a transaction that is rolled back at its end: what would happen, without its happening.

    Nothing that the block wrote is there afterwards, its scratch tables neither. It must not stand inside of another
    transaction, which would keep what it wrote.
    """
    try:
        with warehouse.transaction():
            yield
            raise _Undone
    except _Undone:
        return


def _mentions(sql: str, name: str, engine: str) -> bool:
    written = statement(_HERE, "parameter.sql", engine, name=name)
    return re.search(re.escape(written) + r"\b", sql) is not None
