"""Columns of a request log whose type grew: it must hold what was scored, not what is left of it after a cast."""

from __future__ import annotations

from collections.abc import Mapping

from warehouse_ml.scoring.features import kind_of
from warehouse_ml.templates import statement
from warehouse_ml.warehouses.base import Relation, Warehouse

__all__ = ["widen"]


def widen(
    warehouse: Warehouse, log: Relation, requests: Relation, columns: Mapping[str, str], there: Mapping[str, str]
) -> None:
    """Give columns of a log a type that holds both what is there and what comes.

    Parameters
    ----------
    warehouse : Warehouse
    log, requests : Relation
    columns : mapping of str to str
        Features and their types in the requests.
    there : mapping of str to str
        The columns of the log and their types.
    """
    types = {name.lower(): column_type for name, column_type in there.items()}
    changed = [name for name, column_type in columns.items() if types.get(name.lower(), column_type) != column_type]
    if not changed:
        return
    engine = warehouse.engine
    common = warehouse.columns(
        statement(__package__, "common_types.sql", engine, log=log, requests=requests, columns=changed)
    )
    for name, found in common.items():
        # What a whole number and a short float have in common holds neither every whole number nor every fraction.
        is_short = kind_of(found) == "number" and found.upper() in ("FLOAT", "REAL")
        column_type = statement(__package__, "double.sql", engine) if is_short else found
        if column_type != types[name.lower()]:
            names = {"log": log, "column": name, "column_type": column_type}
            warehouse.run(statement(__package__, "widen.sql", engine, **names))
