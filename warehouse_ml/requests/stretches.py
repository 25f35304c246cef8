"""Who answers when: the versions that had an alias, cut where a canary shares the requests."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace

from warehouse_ml.registry import CANARY, CHAMPION, Registry

__all__ = ["Stretch", "stretches_of"]


@dataclass(frozen=True)
class Stretch:
    """A version that had an alias from ``since`` up to ``until``.

    With ``share``, a canary answers that share of the requests, and a champion the others; with ``among``, only
    requests that this other version has answered are asked.
    """

    alias: str
    version: int
    since: dt.datetime
    until: dt.datetime
    share: float | None = None
    among: int | None = None

    @property
    def is_canary(self) -> bool:
        """Whether the version answers a share of the requests alone."""
        return self.alias == CANARY


def stretches_of(registry: Registry, model: str, as_of: dt.datetime, aliases: Sequence[str]) -> list[Stretch]:
    """Return who answers when. Who serves comes before who shadows, so that an answer that was given is logged so."""
    canaries = [
        Stretch(CANARY, period.version, period.since, min(period.until or as_of, as_of), share=period.share)
        for period in (registry.periods(model, CANARY) if CHAMPION in aliases else ())
    ]
    found = []
    for alias in aliases:
        for period in registry.periods(model, alias):
            stretch = Stretch(alias, period.version, period.since, min(period.until or as_of, as_of))
            found += _beside(stretch, canaries) if alias == CHAMPION else [stretch]
        found += canaries if alias == CHAMPION else []
    return found


def _beside(champion: Stretch, canaries: Sequence[Stretch]) -> list[Stretch]:
    """Cut a champion's time where canaries begin and end; beside one, its share of the requests is left out."""
    found, since = [], champion.since
    for canary in canaries:
        begins, ends = max(canary.since, since), min(canary.until, champion.until)
        if begins < ends:
            found.append(replace(champion, since=since, until=begins))
            found.append(replace(champion, since=begins, until=ends, share=canary.share))
            since = ends
    return [*found, replace(champion, since=since)]
