"""Cron's five fields: which instant of a schedule came last.

Fields and their meaning are those of crontab(5): minute, hour, day of the month, month, day of the week; where both
days are restricted, either will do. A wall-clock time that a change of the clock skips is due when the clock has
changed, and one that comes twice is due the first time; a schedule whose minute or hour begins with ``*`` goes by the
time that really passes, and knows neither.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from zoneinfo import ZoneInfo

from warehouse_ml.errors import ProjectError

__all__ = ["Schedule", "read_schedule"]

_MONTHS = {
    name: number
    for number, name in enumerate(
        ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), start=1
    )
}
_WEEKDAYS = {name: number for number, name in enumerate(("sun", "mon", "tue", "wed", "thu", "fri", "sat"))}
_NICKNAMES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
}
_FIELDS: tuple[tuple[str, int, int, Mapping[str, int]], ...] = (
    ("minute", 0, 59, {}),
    ("hour", 0, 23, {}),
    ("day of the month", 1, 31, {}),
    ("month", 1, 12, _MONTHS),
    ("day of the week", 0, 7, _WEEKDAYS),
)
_MOST_DAYS = {month: 29 if month == 2 else 30 if month in (4, 6, 9, 11) else 31 for month in range(1, 13)}
# 29 February is eight years from the last one around a year such as 1900.
_FARTHEST = 366 * 8 + 2
_SECOND = dt.timedelta(seconds=1)
_DAY = dt.timedelta(days=1)


@dataclass(frozen=True)
class Schedule:
    """Five fields of cron in a time zone.

    Parameters
    ----------
    minutes, hours, days, months, weekdays : tuple of int
        What each field allows, in order; Sunday is 0.
    is_either_day : bool
        Whether both days are restricted, so that one of them is enough.
    is_by_passing_time : bool
        Whether the minute or the hour begins with ``*``.
    zone : ZoneInfo
        Whose wall clock the fields are about.
    """

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: tuple[int, ...]
    months: tuple[int, ...]
    weekdays: tuple[int, ...]
    is_either_day: bool
    is_by_passing_time: bool
    zone: ZoneInfo

    def last(self, clock: dt.datetime) -> dt.datetime | None:
        """Return the last instant of the schedule that is not after the clock, in UTC; None if there was none.

        Parameters
        ----------
        clock : datetime
            Aware.
        """
        try:
            # Where the clock goes back over midnight, the day after has begun before.
            day = clock.astimezone(self.zone).date() + _DAY
            for _ in range(_FARTHEST):
                found = max((at for at in self._instants(day) if at <= clock), default=None)
                if found is not None:
                    # Two days overlap where the clock goes back over midnight.
                    earlier = (at for at in self._instants(day - _DAY) if at <= clock)
                    return max([found, *earlier])
                day -= _DAY
        except OverflowError:
            # Before the first year there is no day.
            return None
        return None

    def allows(self, day: dt.date) -> bool:
        """Whether the schedule has instants on a day of the calendar."""
        is_day, is_weekday = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        is_on = is_day or is_weekday if self.is_either_day else is_day and is_weekday
        return day.month in self.months and is_on

    def _instants(self, day: dt.date) -> Iterator[dt.datetime]:
        if not self.allows(day):
            return
        start = dt.datetime.combine(day, dt.time())
        first, end = self._utc(start, 0), self._utc(start + _DAY, 1)
        if self._offset(first) == self._offset(end) and end - first == _DAY:
            for hour in self.hours:
                for minute in self.minutes:
                    yield first + dt.timedelta(hours=hour, minutes=minute)
            return
        for hour in self.hours:
            for minute in self.minutes:
                yield from self._instants_of(start.replace(hour=hour, minute=minute))

    def _instants_of(self, wall: dt.datetime) -> Iterator[dt.datetime]:
        """Yield the instants at which the wall clock shows a time, or begins to show a later one."""
        early, late = self._utc(wall, 0), self._utc(wall, 1)
        if early <= late:
            yield early
            if late != early and self.is_by_passing_time:
                yield late
        elif not self.is_by_passing_time:
            # Skipped: ``late`` is before the change and ``early`` after it.
            after = self._offset(early)
            before, at = late, early
            while at - before > _SECOND:
                middle = before + (at - before) // 2
                before, at = (before, middle) if self._offset(middle) == after else (middle, at)
            yield at.replace(microsecond=0)

    def _utc(self, wall: dt.datetime, fold: int) -> dt.datetime:
        return wall.replace(tzinfo=self.zone, fold=fold).astimezone(dt.UTC)

    def _offset(self, instant: dt.datetime) -> dt.timedelta | None:
        return instant.astimezone(self.zone).utcoffset()


@lru_cache(maxsize=64)
def read_schedule(text: str, timezone: str = "UTC") -> Schedule:
    """Read five fields of cron, or a name such as ``@weekly``.

    Parameters
    ----------
    text : str
        ``0 2 * * 0``: lists, ranges, steps, and the names of months and days in any case; 7 is Sunday too.
    timezone : str
        A name of the tz database.

    Raises
    ------
    ProjectError
        If it is not one, or names a day that never comes.
    """
    written = _NICKNAMES.get(text.strip().lower(), text).split()
    if len(written) != len(_FIELDS):
        raise ProjectError(
            f'the schedule "{text}" has {len(written)} fields, not five',
            has=[*_NICKNAMES],
            hint="minute, hour, day of the month, month, day of the week: '0 2 * * 0' is every Sunday at 2",
        )
    try:
        zone = ZoneInfo(timezone)
    except (ValueError, OSError, KeyError):
        raise ProjectError(f'there is no time zone "{timezone}"', hint="as in the tz database: Europe/Berlin") from None
    minutes, hours, days, months, weekdays = (
        _read_field(field, text, *told) for field, told in zip(written, _FIELDS, strict=True)
    )
    # As cron has it, a field that begins with a star is no restriction of this kind: */2 must be met with the other.
    is_either_day = not any(written[index].startswith("*") for index in (2, 4))
    if not is_either_day and all(min(days) > _MOST_DAYS[month] for month in months):
        raise ProjectError(f'the schedule "{text}" names a day that never comes')
    return Schedule(
        minutes=tuple(sorted(minutes)),
        hours=tuple(sorted(hours)),
        days=tuple(sorted(days)),
        months=tuple(sorted(months)),
        weekdays=tuple(sorted({day % 7 for day in weekdays})),
        is_either_day=is_either_day,
        is_by_passing_time=any(field.startswith("*") for field in written[:2]),
        zone=zone,
    )


def _read_field(field: str, text: str, name: str, low: int, high: int, names: Mapping[str, int]) -> set[int]:
    def wrong(why: str) -> ProjectError:
        allowed = f"{low} to {high}" + (f", or {', '.join(names)}" if names else "")
        return ProjectError(f'the schedule "{text}": {why} in the {name}', has=[allowed, "*", "1,15", "1-5", "*/10"])

    def number(word: str) -> int:
        value = names.get(word.lower())
        if value is None:
            # Not isdigit(): it is true of digits that int() does not read.
            if not (word.isascii() and word.isdecimal()):
                raise wrong(f'"{word}"')
            value = int(word)
        if not low <= value <= high:
            raise wrong(f"{word}")
        return value

    found: set[int] = set()
    for part in field.split(","):
        span, is_stepped, step = part.partition("/")
        first, is_range, last = span.partition("-")
        if span == "*":
            start, end = low, high
        else:
            start = number(first)
            end = number(last) if is_range else high if is_stepped else start
            # A week may end on its Sunday: sat-sun.
            end = 7 if names is _WEEKDAYS and start > end == 0 else end
        if start > end:
            raise wrong(f'"{part}" runs backwards')
        if is_stepped and not (step.isascii() and step.isdecimal() and int(step)):
            raise wrong(f'the step "{step}"')
        found.update(range(start, end + 1, int(step) if is_stepped else 1))
    return found
