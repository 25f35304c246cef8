"""Cron: the last instant of a schedule, against a walk back minute by minute that knows nothing of it."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from warehouse_ml.due import read_schedule
from warehouse_ml.errors import ProjectError

MINUTE = dt.timedelta(minutes=1)
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "America/Sao_Paulo", "Australia/Lord_Howe", "Asia/Kathmandu")


def utc(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


def allowed(field: str, low: int, high: int) -> set[int]:
    """What a field of numbers allows, as crontab(5) says it."""
    found: set[int] = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        if span == "*":
            first, last = low, high
        elif "-" in span:
            first, last = (int(word) for word in span.split("-"))
        else:
            first, last = int(span), high if step else int(span)
        found |= {
            value for value in range(low, high + 1) if first <= value <= last and (value - first) % int(step or 1) == 0
        }
    return found


def walked(text: str, zone: str, clock: dt.datetime, minutes: int) -> dt.datetime | None:
    """Walk back from the clock and ask each minute whether cron would have run."""
    fields = text.split()
    bounds = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
    minute, hour, day, month, weekday = (allowed(field, *bound) for field, bound in zip(fields, bounds, strict=True))
    is_either = not fields[2].startswith("*") and not fields[4].startswith("*")
    follows_time = fields[0].startswith("*") or fields[1].startswith("*")
    there = ZoneInfo(zone)

    def matches(wall: dt.datetime) -> bool:
        on_day, on_weekday = wall.day in day, bool({wall.isoweekday(), wall.isoweekday() % 7} & weekday)
        is_day = on_day or on_weekday if is_either else on_day and on_weekday
        return wall.minute in minute and wall.hour in hour and wall.month in month and is_day

    at = clock.replace(second=0, microsecond=0)
    for _ in range(minutes):
        wall = at.astimezone(there)
        if matches(wall) and (follows_time or wall.fold == 0):
            return at
        before = (at - MINUTE).astimezone(there).replace(tzinfo=None)
        skipped = before + MINUTE
        while not follows_time and skipped < wall.replace(tzinfo=None):
            if matches(skipped):
                return at
            skipped += MINUTE
        at -= MINUTE
    return None


def numbers(low: int, high: int) -> st.SearchStrategy[str]:
    value = st.integers(low, high)
    span = st.tuples(value, value).map(lambda pair: f"{min(pair)}-{max(pair)}")
    step = st.tuples(st.one_of(st.just("*"), span, value.map(str)), st.integers(1, 20)).map(
        lambda pair: f"{pair[0]}/{pair[1]}"
    )
    part = st.one_of(value.map(str), span, step)
    return st.one_of(st.just("*"), st.lists(part, min_size=1, max_size=3).map(",".join))


CLOCKS = st.one_of(
    st.datetimes(dt.datetime(2013, 1, 1), dt.datetime(2026, 1, 1)),
    # Around the days on which clocks change.
    st.tuples(
        st.sampled_from(
            (
                "2013-03-10",
                "2013-03-31",
                "2013-10-06",
                "2013-10-20",
                "2013-10-27",
                "2013-11-03",
                "2014-02-16",
                "2014-04-06",
            )
        ),
        st.integers(0, 60 * 48),
    ).map(lambda pair: dt.datetime.fromisoformat(pair[0]) + pair[1] * MINUTE),
)


@given(
    st.tuples(numbers(0, 59), numbers(0, 23), numbers(1, 31), numbers(1, 12), numbers(0, 7)).map(" ".join),
    st.sampled_from(ZONES),
    CLOCKS,
)
@example("30 2 * * *", "Europe/Berlin", dt.datetime(2013, 3, 31, 1, 0))
@example("30 2 * * *", "Europe/Berlin", dt.datetime(2013, 3, 31, 0, 59))
@example("30 2 * * *", "Europe/Berlin", dt.datetime(2013, 10, 27, 1, 45))
@example("*/30 2 * * *", "Europe/Berlin", dt.datetime(2013, 10, 27, 1, 45))
@example("30 0 * * *", "America/Sao_Paulo", dt.datetime(2013, 10, 20, 3, 0))
@example("30 23 * * *", "America/Sao_Paulo", dt.datetime(2014, 2, 16, 2, 45))
@example("* * * * 0-0", "UTC", dt.datetime(2013, 1, 1))
@example("0,15 * * * *", "Australia/Lord_Howe", dt.datetime(2014, 4, 5, 15, 10))
def test_the_last_instant_is_the_one_that_a_walk_finds(text: str, zone: str, clock: dt.datetime) -> None:
    at = clock.replace(tzinfo=dt.UTC)
    try:
        found = read_schedule(text, zone).last(at)
    except ProjectError:
        assert walked(text, zone, at, 60 * 24 * 3) is None
        return
    assert found is not None
    assert found <= at
    minutes = min(60 * 24 * 3, int((at - found) / MINUTE) + 2)
    expected = walked(text, zone, at, minutes)
    assert found == expected or (expected is None and at - found >= dt.timedelta(days=3) - MINUTE)


@pytest.mark.parametrize(
    ("text", "clock", "expected"),
    [
        ("0 2 * * 0", "2013-04-10 12:00", "2013-04-07 02:00"),
        ("0 2 * * 7", "2013-04-07 02:00", "2013-04-07 02:00"),
        ("0 2 * * sun", "2013-04-07 01:59", "2013-03-31 02:00"),
        ("0 2 * * SAT-SUN", "2013-04-08 00:00", "2013-04-07 02:00"),
        ("15,45 6-8/2 * * mon-fri", "2013-04-08 06:20", "2013-04-08 06:15"),
        ("0 0 1 jan,Jul *", "2013-06-30 00:00", "2013-01-01 00:00"),
        ("0 0 29 2 *", "2013-06-30 00:00", "2012-02-29 00:00"),
        ("0 0 29 2 *", "1903-12-31 00:00", "1896-02-29 00:00"),
        ("0 0 31 * *", "2013-06-30 00:00", "2013-05-31 00:00"),
        # Either day will do where both are named, and both must be met where one begins with a star.
        ("0 0 13 * 5", "2013-09-14 00:00", "2013-09-13 00:00"),
        ("0 0 13 * 5", "2013-09-21 00:00", "2013-09-20 00:00"),
        ("0 0 */2 * 5", "2013-09-21 00:00", "2013-09-13 00:00"),
        ("@weekly", "2013-04-10 12:00", "2013-04-07 00:00"),
        ("@hourly", "2013-04-10 12:34", "2013-04-10 12:00"),
    ],
)
def test_schedules_by_hand(text: str, clock: str, expected: str) -> None:
    assert read_schedule(text).last(utc(clock)) == utc(expected)


def test_the_clock_may_be_of_any_zone_and_before_every_schedule() -> None:
    clock = dt.datetime(2013, 4, 7, 4, 0, tzinfo=ZoneInfo("Europe/Berlin"))
    assert read_schedule("0 2 * * 0").last(clock) == utc("2013-04-07 02:00")
    assert read_schedule("0 2 * * 0").last(dt.datetime(1, 1, 2, tzinfo=dt.UTC)) is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("0 2 * *", "has 4 fields, not five"),
        ("", "has 0 fields"),
        ("@fortnightly", "has 1 fields"),
        ("60 2 * * *", "60 in the minute"),
        ("0 24 * * *", "24 in the hour"),
        ("0 0 0 * *", "0 in the day of the month"),
        ("0 0 * 13 *", "13 in the month"),
        ("0 0 * * 8", "8 in the day of the week"),
        ("0 0 * * frid", '"frid" in the day of the week'),
        ("0 0 * mon *", '"mon" in the month'),
        ("5-1 0 * * *", '"5-1" runs backwards'),
        ("*/0 0 * * *", 'the step "0"'),
        ("*/x 0 * * *", 'the step "x"'),
        ("1, 0 * * *", '"" in the minute'),
        ("1,,2 0 * * *", '"" in the minute'),
        ("-5 0 * * *", '"" in the minute'),
        ("² 0 * * *", '"²" in the minute'),
        ("0 0 30 2 *", "names a day that never comes"),
        ("0 0 31 2,4,6 *", "names a day that never comes"),
    ],
)
def test_what_is_no_schedule_is_refused(text: str, says: str) -> None:
    with pytest.raises(ProjectError, match=says.replace("(", "\\(")) as caught:
        read_schedule(text)
    assert text in str(caught.value)


@pytest.mark.parametrize("zone", ["Mars/Olympus", "", "../etc/passwd"])
def test_a_time_zone_that_is_none_is_refused(zone: str) -> None:
    with pytest.raises(ProjectError, match="there is no time zone"):
        read_schedule("0 2 * * 0", zone)
