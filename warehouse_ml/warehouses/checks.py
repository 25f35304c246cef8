"""One thing that must hold before a warehouse can be used, and what was found."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from warehouse_ml.errors import WmlError

__all__ = ["Check", "check_duckdb", "checked"]


@dataclass(frozen=True)
class Check:
    """What was found.

    Parameters
    ----------
    name : str
        In a word or two.
    outcome : str
        ``ok``, ``failed``, ``skipped`` (something before it failed) or ``note`` (works, and could be better).
    found : str
        What is there.
    fix : str or None
        What to do about it.
    """

    name: str
    outcome: str
    found: str
    fix: str | None = None


def checked(name: str, look: Callable[[], str]) -> Check:
    """Return what a look found; an error is a failed check, with its hint as the fix."""
    try:
        return Check(name, "ok", look())
    except WmlError as error:
        return Check(name, "failed", error.what, error.hint)


def check_duckdb(path: Path, threads: int | None = None, memory_limit: int | None = None) -> Iterator[Check]:
    """Look at a DuckDB file: its folder, its lock, what it holds.

    Parameters
    ----------
    path : Path
        It need not be there.
    threads : int, optional
        As wml.toml says.
    memory_limit : int, optional
        Bytes, as wml.toml says.
    """
    from warehouse_ml.warehouses.duckdb import DuckDBWarehouse

    folder = path.parent
    if not folder.is_dir():
        yield Check("folder", "failed", f"there is no folder {folder}", "make it, or set another path in wml.toml")
        return
    if not os.access(folder, os.W_OK):
        yield Check("folder", "failed", f"{folder} cannot be written to", "make it writable, or set another path")
        return
    yield Check("folder", "ok", f"{folder} can be written to")
    if not path.exists():
        yield Check("file", "note", f"{path.name} is not there yet", "wml build makes it")
        return
    yield Check("file", "ok", f"{path.name}, {path.stat().st_size / 1e6:,.1f} MB")
    try:
        warehouse = DuckDBWarehouse(path, threads=threads, memory_limit=memory_limit)
    except WmlError as error:
        yield Check("lock", "failed", error.what, error.hint)
        return
    try:
        yield Check("lock", "ok", "no other process has it open")
        facts = warehouse.facts()
        yield Check("engine", "ok", f"DuckDB {facts['version']}, {facts['threads']} threads, {facts['memory_limit']}")
        yield Check("extensions", "ok", facts["extensions"] or "none loaded")
        n_relations = len(warehouse.kinds())
        yield Check("relations", "ok", f"{n_relations} built" if n_relations else "none built yet")
    finally:
        warehouse.close()
