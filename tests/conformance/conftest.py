from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.adapters import ADAPTERS, Engine, bigquery_emulator, duckdb
from tests.emulator.start import Emulator
from warehouse_ml.warehouses.base import Warehouse


@pytest.fixture(params=sorted(ADAPTERS))
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """An empty warehouse of each engine."""
    if request.param == "duckdb":
        with duckdb(tmp_path) as found:
            yield found
        return
    server: Emulator = request.getfixturevalue("bigquery_server")
    with bigquery_emulator(tmp_path, server) as found:
        yield found


@pytest.fixture
def warehouse(engine: Engine) -> Warehouse:
    """A connection to it."""
    return engine.open()
