"""A slice of the example that ships, New York's flights: from its files, loaded by the job, to metrics."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

pytest.importorskip("google.cloud.bigquery", reason='not installed: pip install "warehouse-ml[bigquery]"')

from tests.bigquery.pair import Pair
from tests.emulator.start import Emulator
from tests.tiny import edit
from warehouse_ml.example import write_flights

# The model is trained on what is known by the first day, and three weeks come to an end after it.
FIRST, LAST = "2013-01-21", "2013-02-11"
SINCE, UNTIL = (dt.datetime(2013, month, day, tzinfo=dt.UTC) for month, day in ((1, 1), (2, 13)))
AIRLINES = ("9E", "US")


def write_slice(root: Path) -> Path:
    """Write the example with six weeks of two airlines, and fewer, smaller trees."""
    write_flights(root)
    data = root / "data"
    flights = pq.read_table(data / "flights.parquet")
    departs = pc.field("scheduled_departure_at")
    is_kept = (departs >= pa.scalar(SINCE)) & (departs < pa.scalar(UNTIL)) & pc.field("carrier").isin(AIRLINES)
    pq.write_table(flights.filter(is_kept), data / "flights.parquet")
    hours = pq.read_table(data / "weather.parquet")
    is_kept = (pc.field("hour_at") >= pa.scalar(SINCE)) & (pc.field("hour_at") < pa.scalar(UNTIL))
    pq.write_table(hours.filter(is_kept), data / "weather.parquet")
    edit(root, "models/late_arrival.sql", "max_iterations = 24", "max_iterations = 4")
    edit(root, "models/late_arrival.sql", "max_tree_depth = 5", "max_tree_depth = 3")
    return root


@pytest.mark.slow
def test_three_weeks_of_flights_come_to_the_same_rows(bigquery_server: Emulator, tmp_path: Path) -> None:
    pair = Pair(write_slice(tmp_path / "here"), write_slice(tmp_path / "there"), bigquery_server)
    done = pair.run("run", "--since", FIRST, "--as-of", LAST)[1]
    weeks = [(row["n_scored"] > 500, row["n_windows"]) for row in done.rows]
    assert weeks == [(False, 0), (True, 1), (True, 2), (True, 2)]
    for relation in ("late_arrival_requests", "late_arrival_labels", "late_arrival_training"):
        assert pair.agree(f"select * from {relation}") > 1000
    counted = {table: pair.agree(f"select * from wml.{table}") for table in pair.tables() if table != "build_history"}
    assert counted["metrics"] > 300
    assert counted["fairness"] > 20
    assert counted["drift"] > 20
    assert counted["request_log_late_arrival"] > 1000
