"""The ledger of aliases: which version was called what, since when, and why. Rows are only ever added."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

__all__ = ["CHALLENGER", "CHAMPION", "LEDGER_SCHEMA", "Alias", "holder_at", "periods"]

CHAMPION = "champion"
"""The version that serves."""

CHALLENGER = "challenger"
"""The version that scores the same requests in the shadow."""

LEDGER_SCHEMA = pa.schema(
    [
        ("model", pa.string()),
        ("alias", pa.string()),
        ("version", pa.int64()),
        ("since", pa.timestamp("us", tz="UTC")),
        ("reason", pa.string()),
    ]
)


@dataclass(frozen=True)
class Alias:
    """One line of the ledger.

    Parameters
    ----------
    model, alias : str
    version : int or None
        None says that from then on no version has the alias.
    since : datetime
        On the clock of the project, so that a replayed year has a ledger of that year.
    reason : str
    """

    model: str
    alias: str
    version: int | None
    since: dt.datetime
    reason: str

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Alias:
        """Return the line that a row tells of."""
        return cls(**row)


@dataclass(frozen=True)
class Period:
    """A stretch of time over which one version had an alias: from ``since`` up to ``until`` (None: still)."""

    version: int
    since: dt.datetime
    until: dt.datetime | None


def holder_at(ledger: Iterable[Alias], model: str, alias: str, at: dt.datetime) -> int | None:
    """Return the version that had the alias at an instant; among lines of one instant the last written counts."""
    version = None
    since = None
    for line in ledger:
        if line.model == model and line.alias == alias and line.since <= at and (since is None or line.since >= since):
            version, since = line.version, line.since
    return version


def periods(ledger: Iterable[Alias], model: str, alias: str) -> list[Period]:
    """Return who had an alias when, in the order of time; neighbours of one version are joined."""
    lines = [line for line in ledger if line.model == model and line.alias == alias]
    # The sort is stable, so of two lines of one instant the later written comes last and wins.
    lines.sort(key=lambda line: line.since)
    found: list[Period] = []
    for index, line in enumerate(lines):
        until = lines[index + 1].since if index + 1 < len(lines) else None
        if line.version is None or until == line.since:
            continue
        if found and found[-1].version == line.version and found[-1].until == line.since:
            found[-1] = Period(line.version, found[-1].since, until)
        else:
            found.append(Period(line.version, line.since, until))
    return found
