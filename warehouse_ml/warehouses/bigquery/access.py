"""What ``wml doctor`` asks of a project that no step asks."""

from __future__ import annotations

from google.api_core import exceptions as api
from google.cloud import bigquery

from warehouse_ml.warehouses.base import Relation
from warehouse_ml.warehouses.bigquery.told import driver_errors
from warehouse_ml.warehouses.bigquery.warehouse import BigQueryWarehouse

__all__ = ["location_of", "ping", "reads_by_storage"]


def ping(warehouse: BigQueryWarehouse) -> None:
    """Run a job that reads nothing and needs no dataset."""
    config = bigquery.QueryJobConfig(labels=warehouse.labels())
    warehouse.jobs.query("select 1 as one", config, warehouse.settings.location)


def location_of(warehouse: BigQueryWarehouse, schema: str) -> str | None:
    """Return where a dataset is, or None if it is not there."""
    name = f"{warehouse.settings.project}.{warehouse.dataset(schema)}"
    with driver_errors():
        try:
            found: str | None = warehouse.client.get_dataset(name, retry=warehouse.jobs.retry).location
        except api.NotFound:
            return None
    return found


def reads_by_storage(warehouse: BigQueryWarehouse, relation: Relation) -> str:
    """Read a small table through the Storage Read API; return in words how it went, nothing where it is not."""
    client = warehouse.storage_client()
    if client is None:
        return ""
    with driver_errors():
        rows = warehouse.client.list_rows(warehouse.reference(relation), retry=warehouse.jobs.retry)
        n_rows = sum(batch.num_rows for batch in rows.to_arrow_iterable(bqstorage_client=client))
    return f"{n_rows} rows were read through it"
