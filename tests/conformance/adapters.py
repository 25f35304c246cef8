"""The adapters that the suite is run on."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.emulator.start import Emulator
from warehouse_ml import templates
from warehouse_ml.warehouses.base import Warehouse

__all__ = ["ADAPTERS", "LACKS", "Engine", "bigquery_emulator", "duckdb"]

_numbers = itertools.count(1)

LACKS = {
    "bigquery": {
        "positions": "the emulator does not say where in a statement an error is; BigQuery does, in [line:column]",
        "negative zero": "the emulator reads parameters as text and loses the sign of -0.0",
    }
}
"""What an adapter cannot be asked here, with the reason: it is skipped, and counted as skipped."""


@dataclass
class Engine:
    """One warehouse that is empty at first, and may be opened several times over.

    Parameters
    ----------
    name : str
        The engine's.
    opening : callable
        Opens it; told whether to read alone.
    """

    name: str
    opening: Callable[[bool], Warehouse]
    opened: list[Warehouse] = field(default_factory=list)

    def open(self, *, read_only: bool = False) -> Warehouse:
        """Return another connection."""
        warehouse = self.opening(read_only)
        self.opened.append(warehouse)
        return warehouse

    def sql(self, template: str, **names: Any) -> str:
        """Return a statement as this engine writes it."""
        return templates.environment(self.name).from_string(template).render(**names)

    def lacks(self, what: str) -> None:
        """Skip a test of what the engine cannot be asked here."""
        if reason := LACKS.get(self.name, {}).get(what):
            pytest.skip(reason)

    def close(self) -> None:
        while self.opened:
            self.opened.pop().close()


@contextmanager
def duckdb(folder: Path) -> Iterator[Engine]:
    """A DuckDB file; it has one writer at a time, so that a second connection closes the first."""
    from warehouse_ml.warehouses.duckdb import DuckDBWarehouse

    engine = Engine("duckdb", lambda _: None)  # type: ignore[arg-type,return-value]

    def opening(read_only: bool) -> Warehouse:
        engine.close()
        return DuckDBWarehouse(folder / "warehouse.duckdb", read_only=read_only)

    engine.opening = opening
    yield engine
    engine.close()


@contextmanager
def bigquery_emulator(folder: Path, server: Emulator) -> Iterator[Engine]:
    """BigQuery's own client before the emulator; the datasets are new ones."""
    from warehouse_ml.warehouses.bigquery.client import client_of
    from warehouse_ml.warehouses.bigquery.jobs import Patience
    from warehouse_ml.warehouses.bigquery.settings import BigQuerySettings
    from warehouse_ml.warehouses.bigquery.warehouse import BigQueryWarehouse

    patience = Patience(seconds=5, attempts=3, pause_seconds=0.05, chunk_retries=0)
    number = f"{os.getpid()}_{next(_numbers)}"
    stem = re.sub(r"\W", "_", folder.name)[:40]
    settings = BigQuerySettings("wml-tests", f"ml_{stem}_{number}", f"wml_{stem}_{number}", endpoint=server.address)
    client = client_of(settings)
    for dataset in (settings.dataset, settings.wml_dataset):
        client.create_dataset(f"{settings.project}.{dataset}")
    engine = Engine("bigquery", lambda read_only: BigQueryWarehouse(settings, read_only=read_only, patience=patience))
    yield engine
    engine.close()
    client.close()


ADAPTERS: Mapping[str, str] = {"duckdb": "a file of this machine", "bigquery": "Google's client before an emulator"}
