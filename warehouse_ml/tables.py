"""The toolkit's own tables: made once, added to, never renamed."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from warehouse_ml.templates import statement, statements
from warehouse_ml.warehouses.base import Parameters, Relation, Warehouse

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["all_of", "ensure_tables", "one_row", "run_file", "spooled"]

_HERE = "warehouse_ml.warehouses"


def ensure_tables(warehouse: Warehouse) -> None:
    """Create the ``wml`` schema and its tables and views where they are missing."""
    with warehouse.transaction():
        for sql in [
            statement(_HERE, "schema.sql", warehouse.engine),
            *statements(_HERE, "tables.sql", warehouse.engine),
        ]:
            warehouse.run(sql)


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
    row: dict[str, Any] = warehouse.fetch(sql, parameters).to_pylist()[0]
    return row


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


def _mentions(sql: str, name: str, engine: str) -> bool:
    written = statement(_HERE, "parameter.sql", engine, name=name)
    return re.search(re.escape(written) + r"\b", sql) is not None
