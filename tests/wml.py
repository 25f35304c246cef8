"""The command line, run inside the test's own process."""

from __future__ import annotations

import contextlib
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from warehouse_ml.cli import _run


@dataclass(frozen=True)
class Done:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def rows(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = json.loads(self.out)
        return rows


def wml(folder: Path, *arguments: str) -> Done:
    """Run a command in a folder."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.chdir(folder), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = _run(arguments)
    return Done(code, out.getvalue(), err.getvalue())


def ok(folder: Path, *arguments: str) -> Done:
    """Run a command that must succeed."""
    done = wml(folder, *arguments)
    assert done.code == 0, done.out + done.err
    return done


def rows(folder: Path, sql: str) -> list[dict[str, Any]]:
    """Return the rows of a query, through ``wml query``."""
    return ok(folder, "query", sql, "--format", "json").rows
