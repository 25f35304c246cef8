"""Rows of a finished job as Arrow: through the Storage Read API where there is much to read and it is there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain
from typing import TYPE_CHECKING, Any

from google.api_core import exceptions as api

from warehouse_ml.warehouses.bigquery.told import driver_errors

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["batches_of", "rows_of"]

_FEW_ROWS = 10_000
"""One page of answers: no faster by another way."""


def rows_of(job: Any, rows: Any, storage: Callable[[], Any]) -> pa.Table:
    """Return all rows of a job.

    Parameters
    ----------
    job : QueryJob
    rows : RowIterator
        Of the job, not yet read.
    storage : callable
        Returns the Storage API's client, or None.
    """
    client = storage() if _is_large(rows) else None
    if client is not None:
        try:
            return rows.to_arrow(bqstorage_client=client, create_bqstorage_client=False)
        except api.Forbidden:
            # The account may query and not read this way: slower, and the same rows.
            rows = job.result()
    return rows.to_arrow(create_bqstorage_client=False)


def batches_of(job: Any, rows: Any, storage: Callable[[], Any], batch_rows: int, sql: str) -> pa.RecordBatchReader:
    """Return the rows of a job as they come, in batches of at most ``batch_rows``."""
    import pyarrow as pa

    client = storage() if _is_large(rows) else None
    batches = iter(rows.to_arrow_iterable(bqstorage_client=client))
    try:
        first = next(batches, None)
    except api.Forbidden:
        batches = iter(job.result().to_arrow_iterable())
        first = next(batches, None)
    if first is None:
        empty = job.result().to_arrow(create_bqstorage_client=False)
        return pa.RecordBatchReader.from_batches(empty.schema, iter(empty.to_batches()))

    def cut() -> Iterator[pa.RecordBatch]:
        with driver_errors(sql):
            for batch in chain([first], batches):
                for start in range(0, batch.num_rows, batch_rows):
                    yield batch.slice(start, batch_rows)

    return pa.RecordBatchReader.from_batches(first.schema, cut())


def _is_large(rows: Any) -> bool:
    return (getattr(rows, "total_rows", None) or 0) > _FEW_ROWS
