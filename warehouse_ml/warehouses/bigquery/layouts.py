"""How a table lies, as the service tells it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from warehouse_ml.errors import WarehouseError
from warehouse_ml.warehouses.bigquery.told import driver_errors
from warehouse_ml.warehouses.layout import Layout

if TYPE_CHECKING:
    from google.cloud import bigquery

__all__ = ["kind_told", "layout_told", "layouts_of", "listed"]

_DAY_MS = 24 * 60 * 60 * 1000
_LOADED_AT = "_PARTITIONTIME"


def kind_told(table_type: str) -> str:
    """Return ``table`` or ``view``, for the service's own word."""
    return "view" if table_type in {"VIEW", "MATERIALIZED_VIEW"} else "table"


def layout_told(table: Mapping[str, Any]) -> Layout:
    """Return how a table lies, from what ``tables.list`` or ``tables.get`` says of it.

    Parameters
    ----------
    table : mapping
        The service's own words. A table parted by ranges of numbers has a granularity of no other, ``range``.
    """
    clustered = tuple((table.get("clustering") or {}).get("fields") or ())
    times, ranges = table.get("timePartitioning"), table.get("rangePartitioning")
    if times is None:
        field = (ranges or {}).get("field")
        return Layout(field, "range" if field else None, clustered)
    expires = times.get("expirationMs")
    return Layout(
        times.get("field") or _LOADED_AT,
        str(times.get("type") or "DAY").lower(),
        clustered,
        expiration_days=int(expires) / _DAY_MS if expires is not None else None,
        requires_filter=bool(table.get("requirePartitionFilter") or times.get("requirePartitionFilter")),
    )


def listed(client: bigquery.Client, dataset: str, retry: Any) -> list[Any]:
    """Return what the service tells of a dataset's tables and views; nothing, if there is no such dataset."""
    try:
        with driver_errors():
            return list(client.list_tables(dataset, page_size=1000, retry=retry))
    except WarehouseError as error:
        if error.what.startswith("no dataset"):
            return []
        raise


def layouts_of(tables: list[Any]) -> dict[str, Layout]:
    """Return how each table among what was listed lies, by name in lower case; a view does not."""
    return {
        table.table_id.lower(): layout_told(table.to_api_repr())
        for table in tables
        if kind_told(table.table_type) == "table"
    }
