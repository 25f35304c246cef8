"""Who has an alias from an instant on: a decision over the ledger as it is, written in one step or not at all.

Every decision about the champion leaves the version that served until then as challenger, so that it goes on answering
in the shadow and the decision can be judged.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from warehouse_ml.decisions.names import check_alias, check_share
from warehouse_ml.errors import VersionNotFoundError, WmlError, did_you_mean
from warehouse_ml.registry import CANARY, CHALLENGER, CHAMPION, SAFE, Alias, Registry
from warehouse_ml.registry.aliases import holder_at, periods

__all__ = ["Decided", "fall_back", "promote", "promotions", "remove", "roll_back"]

_TAKES_BACK = ("rollback", "fallback")


@dataclass(frozen=True)
class Decided:
    """What a decision came to.

    Parameters
    ----------
    model, alias : str
    version : int or None
        Who has the alias now; None if nobody.
    was : int or None
        Who had it before.
    since : datetime
    share : float or None
        Of the requests, for a canary.
    reason : str
    lines : tuple of Alias
        What was added to the ledger, or would be; none where nothing changes.
    """

    model: str
    alias: str
    version: int | None
    was: int | None
    since: dt.datetime
    share: float | None
    reason: str
    lines: tuple[Alias, ...]


def promote(
    registry: Registry,
    model: str,
    version: int,
    at: dt.datetime,
    reason: str,
    *,
    alias: str = CHAMPION,
    share: float | None = None,
    writes: bool = True,
) -> Decided:
    """Give an alias to a version from an instant on.

    Parameters
    ----------
    registry : Registry
    model : str
    version : int
        One of the model's.
    at : datetime
    reason : str
        Written into the ledger.
    alias : str
    share : float, optional
        Of the requests, in (0, 1): of a canary, and needed for one.
    writes : bool
        False to be told alone what would be written.

    Raises
    ------
    WmlError
        If the alias is no name, the share makes no sense, or who serves would shadow itself.
    VersionNotFoundError
        If there is no such version.
    """
    check_alias(alias)
    check_share(alias, share)
    registry.get(model, str(version))

    def decide(ledger: Sequence[Alias]) -> tuple[Decided, list[Alias]]:
        held = _Held(ledger, model, at)
        _refuse_nonsense(held, model, version, alias)
        if held.of(alias) == version and held.share(alias) == share:
            lines = []
        else:
            lines = held.given(alias, version, reason, "promote", share)
        return Decided(model, alias, version, held.of(alias), at, share, reason, tuple(lines)), lines

    return _decided(registry, decide, writes)


def remove(registry: Registry, model: str, at: dt.datetime, reason: str, *, alias: str, writes: bool = True) -> Decided:
    """Take an alias away from whoever has it.

    Raises
    ------
    WmlError
        If it is the champion's: a model that is asked has somebody to answer.
    VersionNotFoundError
        If nobody ever had the alias.
    """
    if alias == CHAMPION:
        raise WmlError(
            f"{model} would have no champion, and nobody to answer",
            hint=f'promote another version, or stop the model from serving: wml query "drop model {model}"',
        )

    def decide(ledger: Sequence[Alias]) -> tuple[Decided, list[Alias]]:
        held = _Held(ledger, model, at)
        known = sorted({line.alias for line in ledger if line.model == model})
        if alias not in known:
            raise VersionNotFoundError(
                f'no version of {model} is called "{alias}"', has=known, hint=did_you_mean(alias, known)
            )
        lines = [held.line(alias, None, reason, "promote")] if held.of(alias) is not None else []
        return Decided(model, alias, None, held.of(alias), at, None, reason, tuple(lines)), lines

    return _decided(registry, decide, writes)


def roll_back(
    registry: Registry, model: str, at: dt.datetime, reason: str | None, *, to: int | None = None, writes: bool = True
) -> Decided:
    """Let the version serve again that did before the newest promotion which still stands.

    A rollback takes that promotion back, so that the next one goes further back, and not forth again.

    Parameters
    ----------
    registry, model, at, writes
        As in ``promote``.
    reason : str or None
        Added to what the ledger is told by itself.
    to : int, optional
        The version to go back to; it must be one that served before.

    Raises
    ------
    VersionNotFoundError
        If nobody served before, or not the version asked for.
    """

    def decide(ledger: Sequence[Alias]) -> tuple[Decided, list[Alias]]:
        held = _Held(ledger, model, at)
        stack = promotions(ledger, model, at)
        present = held.of(CHAMPION)
        # Where nobody serves, whoever did last is who served before.
        earlier = stack[:-1] if present is not None else stack
        target = _target(model, present, earlier, to)
        written = f"rolled back from version {present}" if present is not None else "nobody served"
        written += f": {reason}" if reason else ""
        lines = [] if target == present else held.given(CHAMPION, target, written, "rollback", None)
        return Decided(model, CHAMPION, target, present, at, None, written, tuple(lines)), lines

    return _decided(registry, decide, writes)


def fall_back(registry: Registry, model: str, at: dt.datetime, reason: str | None, *, writes: bool = True) -> Decided:
    """Let the safe version serve every request; a canary ends.

    Raises
    ------
    VersionNotFoundError
        If no version is called safe.
    """

    def decide(ledger: Sequence[Alias]) -> tuple[Decided, list[Alias]]:
        held = _Held(ledger, model, at)
        safe, present = held.of(SAFE), held.of(CHAMPION)
        if safe is None:
            raise VersionNotFoundError(
                f"{model} has no safe version to fall back to",
                has=sorted({line.alias for line in ledger if line.model == model}) or None,
                hint=f'name one before it is needed: wml promote {model}@1 --alias {SAFE} --reason "..."',
            )
        written = f"fell back from version {present}" if present is not None else "nobody served"
        written += f": {reason}" if reason else ""
        lines = [] if safe == present else held.given(CHAMPION, safe, written, "fallback", None)
        if held.of(CANARY) is not None and not any(line.alias == CANARY for line in lines):
            lines.append(held.line(CANARY, None, written, "fallback"))
        return Decided(model, CHAMPION, safe, present, at, None, written, tuple(lines)), lines

    return _decided(registry, decide, writes)


def promotions(ledger: Sequence[Alias], model: str, at: dt.datetime) -> list[int]:
    """Return the champions whose promotion still stands at an instant, oldest first; the last of them serves.

    A rollback, or a fallback, takes back every promotion after that of the version it names, newest first.
    """
    stack: list[int] = []
    lines = [line for line in ledger if line.model == model and line.alias == CHAMPION and line.since <= at]
    for line in sorted(lines, key=lambda line: line.since):
        if line.version is None or stack[-1:] == [line.version]:
            continue
        if line.action in _TAKES_BACK:
            stack = stack[:-1]
            while line.version in stack and stack[-1] != line.version:
                stack.pop()
        if stack[-1:] != [line.version]:
            stack.append(line.version)
    return stack


class _Held:
    """Who has which alias of a model at an instant, and what a change of it takes."""

    def __init__(self, ledger: Sequence[Alias], model: str, at: dt.datetime) -> None:
        self._ledger, self._model, self._at = ledger, model, at

    def of(self, alias: str) -> int | None:
        return holder_at(self._ledger, self._model, alias, self._at)

    def share(self, alias: str) -> float | None:
        found = [
            period.share
            for period in periods(self._ledger, self._model, alias)
            if period.since <= self._at and (period.until is None or self._at < period.until)
        ]
        return found[0] if found else None

    def line(self, alias: str, version: int | None, reason: str, action: str, share: float | None = None) -> Alias:
        return Alias(self._model, alias, version, self._at, reason, share, action)

    def given(self, alias: str, version: int, reason: str, action: str, share: float | None) -> list[Alias]:
        """Return the lines that give an alias away, with those of the aliases that cannot stay as they are."""
        lines = [self.line(alias, version, reason, action, share)]
        if alias == CHAMPION:
            former = self.of(CHAMPION)
            if former is not None and self.of(CHALLENGER) != former:
                told = f"champion until version {version} took over"
                lines.append(self.line(CHALLENGER, former, told, action))
            elif self.of(CHALLENGER) == version:
                lines.append(self.line(CHALLENGER, None, "it is champion now", action))
            if self.of(CANARY) is not None and (action == "fallback" or self.of(CANARY) == version):
                told = "it is champion now" if self.of(CANARY) == version else reason
                lines.append(self.line(CANARY, None, told, action))
        if alias == CANARY and self.of(CHALLENGER) == version:
            # In the shadow as well, it would have answered requests that it was not given.
            lines.append(self.line(CHALLENGER, None, "it is the canary now", action))
        return lines


def _refuse_nonsense(held: _Held, model: str, version: int, alias: str) -> None:
    if alias == CANARY and held.of(CHAMPION) is None:
        raise WmlError(
            f"{model} has no champion to answer the other requests", hint=f"wml promote {model}@{version} lets it serve"
        )
    for serving in (CHAMPION, CANARY):
        if alias in (CHALLENGER, CANARY) and alias != serving and held.of(serving) == version:
            raise WmlError(
                f"{model}@{version} is the {serving}: it cannot be the {alias} as well",
                hint="name another version" if serving == CHAMPION else f"wml promote {model} --alias {CANARY} --none",
            )


def _target(model: str, present: int | None, earlier: Sequence[int], to: int | None) -> int:
    if to is not None and (to in earlier or to == present):
        return to
    if to is not None:
        raise VersionNotFoundError(
            f"version {to} of {model} did not serve before version {present}",
            has=[str(version) for version in dict.fromkeys(reversed(earlier))],
            hint=f'to let it serve all the same: wml promote {model}@{to} --reason "..."',
        )
    if not earlier:
        raise VersionNotFoundError(
            f"nobody served before version {present} of {model}"
            if present is not None
            else f"no version of {model} has served",
            hint=f"wml models list {model} shows the versions; wml promote lets any of them serve",
        )
    return earlier[-1]


def _decided(
    registry: Registry, decide: Callable[[Sequence[Alias]], tuple[Decided, list[Alias]]], writes: bool
) -> Decided:
    if not writes:
        return decide(registry.ledger())[0]
    found: list[Decided] = []

    def lines_of(ledger: list[Alias]) -> list[Alias]:
        decided, lines = decide(ledger)
        found.append(decided)
        return lines

    registry.amend(lines_of)
    return found[0]
