from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.adapters import ADAPTERS, Engine, bigquery_emulator, bigquery_project, duckdb
from tests.emulator.start import Emulator
from warehouse_ml.warehouses.base import Warehouse


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "engine" not in metafunc.fixturenames:
        return
    adapters: list[object] = sorted(ADAPTERS)
    if metafunc.config.getoption("--project"):
        adapters.append(pytest.param("google", marks=pytest.mark.bigquery))
    metafunc.parametrize("engine", adapters, indirect=True)


@pytest.fixture
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """An empty warehouse of each engine."""
    if request.param == "duckdb":
        opening = duckdb(tmp_path)
    elif request.param == "google":
        opening = bigquery_project(request.config.getoption("--project"), request.config.getoption("--location"))
    else:
        server: Emulator = request.getfixturevalue("bigquery_server")
        opening = bigquery_emulator(tmp_path, server)
    with opening as found:
        yield found


@pytest.fixture
def warehouse(engine: Engine) -> Warehouse:
    """A connection to it."""
    return engine.open()
