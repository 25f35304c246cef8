"""The toolkit's own tables: made once, added to, never renamed."""

from __future__ import annotations

import re

from warehouse_ml.templates import statement, statements
from warehouse_ml.warehouses.base import Warehouse

__all__ = ["ensure_tables", "run_file"]

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


def _mentions(sql: str, name: str, engine: str) -> bool:
    written = statement(_HERE, "parameter.sql", engine, name=name)
    return re.search(re.escape(written) + r"\b", sql) is not None
