"""Every .sql file that the toolkit ships is proved, or says why it is not."""

from __future__ import annotations

import importlib
from pathlib import Path

from tests.googlesql.proofs import NOT_SENT, shipped_files

_HERE = Path(__file__).parent


def test_every_shipped_file_is_proved_or_says_why_not() -> None:
    proved: set[str] = set()
    unproved: dict[str, str] = dict(NOT_SENT)
    for path in sorted(_HERE.glob("test_*.py")):
        module = importlib.import_module(f"tests.googlesql.{path.stem}")
        proved |= set(getattr(module, "PROVES", ()))
        unproved |= getattr(module, "UNPROVED", {})
    shipped = shipped_files()
    assert proved | unproved.keys() <= shipped, "a file is named that is not there"
    assert shipped - proved - unproved.keys() == set()
    assert not proved & unproved.keys()
