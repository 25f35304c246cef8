"""The adapters that the suite is run on."""

from __future__ import annotations

import itertools
import os
import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.emulator.start import Emulator
from warehouse_ml import templates
from warehouse_ml.warehouses.base import Warehouse

__all__ = ["ADAPTERS", "Engine", "bigquery_emulator", "bigquery_project", "duckdb"]

if TYPE_CHECKING:
    from warehouse_ml.warehouses.bigquery.jobs import Patience
    from warehouse_ml.warehouses.bigquery.settings import BigQuerySettings

_numbers = itertools.count(1)

EMULATOR_LACKS = {
    "positions": "the emulator does not say where in a statement an error is; BigQuery does, in [line:column]",
    "negative zero": "the emulator reads parameters as text and loses the sign of -0.0",
}
"""What the emulator cannot be asked, with the reason: it is skipped, and counted as skipped."""


@dataclass
class Engine:
    """One warehouse that is empty at first, and may be opened several times over.

    Parameters
    ----------
    name : str
        The engine's.
    opening : callable
        Opens it; told whether to read alone.
    missing : mapping
        What it cannot be asked here, with the reason.
    """

    name: str
    opening: Callable[[bool], Warehouse]
    missing: Mapping[str, str] = field(default_factory=dict)
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
        if reason := self.missing.get(what):
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


def bigquery_emulator(folder: Path, server: Emulator) -> AbstractContextManager[Engine]:
    """BigQuery's own client before the emulator; the datasets are new ones."""
    from warehouse_ml.warehouses.bigquery.jobs import Patience
    from warehouse_ml.warehouses.bigquery.settings import BigQuerySettings

    names = _new_datasets(re.sub(r"\W", "_", folder.name)[:40])
    settings = BigQuerySettings("wml-tests", *names, endpoint=server.address)
    patience = Patience(seconds=5, attempts=3, pause_seconds=0.05, chunk_retries=0)
    return _bigquery(settings, patience, EMULATOR_LACKS)


def bigquery_project(project: str, location: str | None) -> AbstractContextManager[Engine]:
    """A project of Google Cloud, in two new datasets, which are gone afterwards."""
    from warehouse_ml.warehouses.bigquery.jobs import Patience
    from warehouse_ml.warehouses.bigquery.settings import BigQuerySettings

    names = _new_datasets(uuid.uuid4().hex[:12])
    return _bigquery(BigQuerySettings(project, *names, location=location), Patience(), {})


def _new_datasets(stem: str) -> tuple[str, str]:
    number = f"{os.getpid()}_{next(_numbers)}"
    return f"ml_test_{stem}_{number}", f"wml_test_{stem}_{number}"


@contextmanager
def _bigquery(settings: BigQuerySettings, patience: Patience, missing: Mapping[str, str]) -> Iterator[Engine]:
    from google.cloud.bigquery import Dataset

    from warehouse_ml.warehouses.bigquery.client import client_of
    from warehouse_ml.warehouses.bigquery.warehouse import BigQueryWarehouse

    client = client_of(settings)
    names = [f"{settings.project}.{dataset}" for dataset in (settings.dataset, settings.wml_dataset)]
    engine = Engine(
        "bigquery", lambda read_only: BigQueryWarehouse(settings, read_only=read_only, patience=patience), missing
    )
    try:
        for name in names:
            made = Dataset(name)
            if settings.location:
                made.location = settings.location
            if not settings.endpoint:
                # Whatever happens to this process, nothing is left behind for longer.
                made.default_table_expiration_ms = 3_600_000
            client.create_dataset(made, timeout=30)
        yield engine
        engine.close()
    finally:
        if not settings.endpoint:
            for name in names:
                client.delete_dataset(name, delete_contents=True, not_found_ok=True)
        client.close()


ADAPTERS = ("duckdb", "bigquery")
"""Those of every run; ``--project`` adds a real project of Google Cloud."""
