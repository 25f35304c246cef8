"""The ledger of aliases: which version was called what, since when, and why. Rows are only ever added."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

__all__ = [
    "ACTIONS",
    "CANARY",
    "CANDIDATE",
    "CHALLENGER",
    "CHAMPION",
    "LEDGER_SCHEMA",
    "SAFE",
    "SERVING",
    "Alias",
    "Period",
    "holder_at",
    "periods",
]

CHAMPION = "champion"
"""The version that serves."""

CHALLENGER = "challenger"
"""The version that scores the same requests in the shadow."""

CANARY = "canary"
"""The version that serves a share of the requests in the champion's place."""

SAFE = "safe"
"""The version to fall back to when what serves cannot be trusted."""

CANDIDATE = "candidate"
"""What the log calls a version that answered past requests to be compared before a promotion; nobody holds it."""

SERVING = (CHAMPION, CANARY)
"""The aliases whose answer is the one that was given; each request has one of them."""

ACTIONS = ("train", "promote", "rollback", "fallback")
"""What wrote a line of the ledger. A rollback or a fallback takes promotions back, so that the next goes further."""

LEDGER_SCHEMA = pa.schema(
    [
        ("model", pa.string()),
        ("alias", pa.string()),
        ("version", pa.int64()),
        ("since", pa.timestamp("us", tz="UTC")),
        ("reason", pa.string()),
        ("share", pa.float64()),
        ("action", pa.string()),
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
    share : float or None
        Of the requests that a canary answers, in (0, 1); None for any other alias.
    action : str or None
        One of ``ACTIONS``; None where an earlier release, or a statement, wrote the line.
    """

    model: str
    alias: str
    version: int | None
    since: dt.datetime
    reason: str
    share: float | None = None
    action: str | None = None

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Alias:
        """Return the line that a row tells of."""
        return cls(**row)


@dataclass(frozen=True)
class Period:
    """A stretch of time over which one version had an alias: from ``since`` up to ``until`` (None: still).

    ``share`` is a canary's; another share begins another stretch. ``reason`` is that of the first line.
    """

    version: int
    since: dt.datetime
    until: dt.datetime | None
    share: float | None = None
    reason: str = ""


def holder_at(ledger: Iterable[Alias], model: str, alias: str, at: dt.datetime) -> int | None:
    """Return the version that had the alias at an instant; among lines of one instant the last written counts."""
    version = None
    since = None
    for line in ledger:
        if line.model == model and line.alias == alias and line.since <= at and (since is None or line.since >= since):
            version, since = line.version, line.since
    return version


def periods(ledger: Iterable[Alias], model: str, alias: str) -> list[Period]:
    """Return who had an alias when, in the order of time; neighbours of one version and share are joined."""
    lines = [line for line in ledger if line.model == model and line.alias == alias]
    # The sort is stable, so of two lines of one instant the later written comes last and wins.
    lines.sort(key=lambda line: line.since)
    found: list[Period] = []
    for index, line in enumerate(lines):
        until = lines[index + 1].since if index + 1 < len(lines) else None
        if line.version is None or until == line.since:
            continue
        last = found[-1] if found else None
        if last and (last.version, last.share, last.until) == (line.version, line.share, line.since):
            found[-1] = replace(last, until=until)
        else:
            found.append(Period(line.version, line.since, until, line.share, line.reason))
    return found
