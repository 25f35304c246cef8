from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.emulator.start import MAKE, Emulator, emulator, emulator_python
from tests.tiny import write_tiny

settings.register_profile("steady", derandomize=True, deadline=None, max_examples=30)
settings.load_profile("steady")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("bigquery", "a real project of Google Cloud: pytest -m bigquery --project my-project")
    group.addoption("--project", help="Its id; datasets are made in it and dropped again.")
    group.addoption("--location", help="Where they are made, such as EU.")


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """The folder of a small project that builds, trains and evaluates."""
    return write_tiny(tmp_path / "tiny")


@pytest.fixture(scope="session")
def bigquery_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """The BigQuery emulator; where it cannot be had, a skip that says why."""
    pytest.importorskip("google.cloud.bigquery", reason='not installed: pip install "warehouse-ml[bigquery]"')
    python = emulator_python()
    if python is None:
        pytest.skip(f"the BigQuery emulator's environment is not there; make it: {MAKE}")
    with emulator(python, tmp_path_factory.mktemp("emulator") / "log") as server:
        yield server
