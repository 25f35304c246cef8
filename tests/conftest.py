from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

from tests.tiny import write_tiny

settings.register_profile("steady", derandomize=True, deadline=None, max_examples=30)
settings.load_profile("steady")


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """The folder of a small project that builds, trains and evaluates."""
    return write_tiny(tmp_path / "tiny")
