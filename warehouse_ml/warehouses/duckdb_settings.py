"""``[targets.duckdb]`` of wml.toml, checked before the file is opened; nothing here imports the driver."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from warehouse_ml.errors import ProjectError, did_you_mean
from warehouse_ml.warehouses.bigquery.settings import bytes_of

__all__ = ["DuckDBSettings", "duckdb_settings"]

_KNOWN = ("type", "path", "threads", "memory_limit", "max_training_rows")
_LEAST_MEMORY = 100_000_000
"""Below, the engine fails at statements that read a handful of rows."""


@dataclass(frozen=True)
class DuckDBSettings:
    """Where a target's file is, and how much of the machine its engine may take.

    Parameters
    ----------
    path : str
        The database file, relative to wml.toml.
    threads : int or None
        None: every core.
    memory_limit : int or None
        Bytes; what does not fit waits in files beside the database. None: the engine's own, four fifths of the machine.
    """

    path: str = "warehouse.duckdb"
    threads: int | None = None
    memory_limit: int | None = None


def duckdb_settings(settings: Mapping[str, Any], place: str) -> DuckDBSettings:
    """Return the settings of a target, every one of them checked.

    Raises
    ------
    ProjectError
        If one is unknown, or not what it must be.
    """
    for key in settings:
        if key not in _KNOWN:
            raise ProjectError(f'unknown setting "{key}"', place=place, has=_KNOWN, hint=did_you_mean(key, _KNOWN))
    threads = settings.get("threads")
    if threads is not None and (type(threads) is not int or threads < 1):
        raise ProjectError(
            f"threads = {threads!r} is not a number of threads", place=place, hint="leave it out to use every core"
        )
    path = settings.get("path", DuckDBSettings.path)
    if not isinstance(path, str) or not path:
        raise ProjectError(f"path = {path!r} must be text", place=place, hint='such as path = "warehouse.duckdb"')
    return DuckDBSettings(path=path, threads=threads, memory_limit=_memory_limit(settings, place))


def _memory_limit(settings: Mapping[str, Any], place: str) -> int | None:
    value = settings.get("memory_limit")
    if value is None:
        return None
    number = value if type(value) is int else bytes_of(value) if isinstance(value, str) else None
    if number is None:
        raise ProjectError(
            f"memory_limit = {value!r} is not a number of bytes", place=place, hint='such as memory_limit = "2GB"'
        )
    if number < _LEAST_MEMORY:
        raise ProjectError(
            f"memory_limit = {value!r} is too little for the engine",
            place=place,
            hint='at least memory_limit = "100MB"',
        )
    return number
