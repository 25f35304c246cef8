"""Training rows that a version does not keep, read again by its own query and proven to be the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

from warehouse_ml.errors import RowsNotKeptError, WmlError
from warehouse_ml.registry import Registry, StoredVersion
from warehouse_ml.templates import statement
from warehouse_ml.warehouses.base import Warehouse

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["rows_again"]


def rows_again(warehouse: Warehouse, registry: Registry, stored: StoredVersion) -> pa.RecordBatchReader:
    """Return the rows that a version was trained on, each marked train, eval or test, as its snapshot would be.

    The definition is read as it was rendered at the training. Nothing of it is rendered again.

    Raises
    ------
    RowsNotKeptError
        If the query fails, or the relations it reads hold other rows now.
    """
    from warehouse_ml.definition import read_definition
    from warehouse_ml.functions import Context
    from warehouse_ml.training.rows import TRAINING_ROWS, read_training_rows

    version = stored.version
    name, place = f"{version.model}@{version.version}", f"{version.artifact_uri}/definition.sql"
    hint = f"build what it reads as it was then: wml build --as-of {version.as_of.isoformat()}"
    try:
        definition = read_definition(stored.definition, name=version.model, place=place, engine=warehouse.engine)
        most = stored.facts.get("sample", {}).get("max_training_rows")
        found = read_training_rows(Context(warehouse, registry, version.as_of), definition, most)
    except WmlError as error:
        raise RowsNotKeptError(
            f"the rows of {name} are not kept and cannot be read again: {error.what}", place=place, hint=hint
        ) from error
    if found.data_hash != version.data_hash:
        raise RowsNotKeptError(
            f"the rows of {name} are not kept, and its query gives {found.n_rows:,} others now "
            f"(data_hash {found.data_hash}, not {version.data_hash} of {version.n_rows:,} rows)",
            place=place,
            hint=hint,
        )
    return warehouse.stream(statement(__package__, "snapshot.sql", warehouse.engine, relation=TRAINING_ROWS))
