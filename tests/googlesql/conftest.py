from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.googlesql.both import Both, playing
from tests.googlesql.proofs import proved_files
from tests.googlesql.warehouse import PROVED
from warehouse_ml import templates


@pytest.fixture
def both(tmp_path: Path) -> Iterator[Both]:
    """A small project on DuckDB and on GoogleSQL's reference implementation."""
    with playing(Both(tmp_path, n_events=400)) as project:
        yield project


@pytest.fixture(scope="module", autouse=True)
def proves(request: pytest.FixtureRequest) -> Iterator[None]:
    """Check that a module's tests send each statement that it says it proves, when all of its tests ran."""
    PROVED.clear()
    # What was rendered tells which file a statement is of: none of it may be forgotten before the module's end.
    templates._rendered.clear()
    templates._MOST_RENDERED = 1_000_000
    failed = request.session.testsfailed
    yield
    chosen = request.config.option.keyword or any("::" in argument for argument in request.config.args)
    if chosen or request.session.testsfailed > failed:
        return
    claimed = set(getattr(request.module, "PROVES", ()))
    missing = sorted(claimed - proved_files(PROVED, claimed))
    assert not missing, f"{request.module.__name__} says it proves {missing}, which its tests never sent"
