"""Rows that come in: written to Parquet, uploaded, and loaded by one job, all of them or none."""

from __future__ import annotations

import datetime as dt
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from google.cloud import bigquery

from warehouse_ml.warehouses.bigquery.jobs import Jobs
from warehouse_ml.warehouses.bigquery.told import driver_errors
from warehouse_ml.warehouses.bigquery.values import schema_of, storable

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Loads"]


class Loads:
    """Loads rows into tables.

    Parameters
    ----------
    jobs : Jobs
    labels : dict of str to str
    """

    def __init__(self, jobs: Jobs, labels: dict[str, str]) -> None:
        self._jobs = jobs
        self._labels = labels

    def load(self, table: str, rows: pa.Table, location: str | None, *, expires: dt.timedelta | None = None) -> None:
        """Put rows in the place of a table, or make it.

        Parameters
        ----------
        table : str
            Its whole name.
        rows : pyarrow.Table
        location : str or None
        expires : timedelta, optional
            Make a new table that is gone by itself after so long.
        """
        from pyarrow import parquet

        kept = storable(rows)
        schema = schema_of(kept.schema)
        if expires is not None:
            made = bigquery.Table(table, schema)
            made.expires = dt.datetime.now(dt.UTC) + expires
            with driver_errors():
                self._jobs.client.create_table(made, exists_ok=True, retry=self._jobs.retry)
        options = bigquery.ParquetOptions()  # type: ignore[no-untyped-call]
        options.enable_list_inference = True
        config = bigquery.LoadJobConfig(
            source_format="PARQUET",
            write_disposition="WRITE_TRUNCATE" if expires is None else "WRITE_APPEND",
            schema=schema,
            labels=self._labels,
        )
        config.parquet_options = options
        with tempfile.TemporaryDirectory(prefix="wml-") as folder:
            path = Path(folder) / "rows.parquet"
            parquet.write_table(kept, path, coerce_timestamps="us", version="2.6")
            self._jobs.load(path, table, config, location)
