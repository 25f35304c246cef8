"""The toolkit's own tables: made once, added to, never renamed."""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlglot
from sqlglot import exp

from warehouse_ml.columns import named_rows
from warehouse_ml.templates import macro_source, statement, statements
from warehouse_ml.warehouses.base import WML, LaysOut, Parameters, Relation, Warehouse, wml_table
from warehouse_ml.warehouses.layout import LOGS, METRICS, Layout

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "WINDOWED",
    "add_columns",
    "all_of",
    "defining",
    "ensure_tables",
    "one_row",
    "own_layouts",
    "run_file",
    "spooled",
    "undone",
]

_HERE = "warehouse_ml.warehouses"
_TABLE = "create table if not exists "
_MADE_BY = ("schema.sql", "tables.sql", "resliced.sql")
_TELLING = "evaluations"

WINDOWED = (
    "evaluations",
    "metrics",
    "fairness",
    "disparities",
    "drift",
    "calibration",
    "comparisons",
    "worst_slices",
    "metric_cells",
)
"""The toolkit's tables of evaluations, which lie by the start of their windows."""


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
    # Each definition may be made again: where they cannot be made together, the next command goes on from the middle.
    with defining(warehouse):
        warehouse.run(statement(_HERE, "schema.sql", warehouse.engine))
        metrics_by = own_layouts(warehouse)["metrics"].granularity
        for sql in statements(_HERE, "tables.sql", warehouse.engine, metrics_by=metrics_by):
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


def own_layouts(warehouse: Warehouse) -> dict[str, Layout]:
    """Return how the toolkit's own tables are laid out where they are made: ``logs`` and ``metrics``."""
    if isinstance(warehouse, LaysOut):
        return {"logs": warehouse.log_layout, "metrics": warehouse.metrics_layout}
    return {"logs": LOGS, "metrics": METRICS}


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


def defining(warehouse: Warehouse) -> AbstractContextManager[None]:
    """Return the context in which tables, views or columns are defined.

    A transaction, where the engine defines in transactions; so what is defined and what is written inside take effect
    together. Elsewhere nothing: each definition takes effect at once, and whoever makes it must leave things so that
    the same step, run again after a crash between any two statements, comes to the same end.
    """
    return warehouse.transaction() if warehouse.defines_in_transactions else nullcontext()


class _Undone(BaseException):
    """Ends a transaction whose work is not to be kept."""


@contextmanager
def undone(warehouse: Warehouse) -> Iterator[None]:
    """Run a block in a transaction that is rolled back at its end: what would happen, without its happening.

    Nothing that the block wrote is there afterwards, its scratch tables neither. It must not stand inside of another
    transaction, which would keep what it wrote; and it must define nothing but scratch tables, unless the engine
    ``defines_in_transactions``.
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
