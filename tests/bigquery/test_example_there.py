"""A slice of New York's flights, in the project that ``wml init`` starts: from its file to metrics."""

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
from warehouse_ml.example import write_starter

# The model is trained on what is known by the first day, and three weeks come to an end after it.
FIRST, LAST = "2013-02-04", "2013-02-25"
SINCE, UNTIL = (dt.datetime(2013, month, day, tzinfo=dt.UTC) for month, day in ((1, 14), (2, 26)))
AIRLINES = ("9E", "US")


def write_slice(root: Path) -> Path:
    """Write the project that ``wml init`` starts, with six weeks of two airlines."""
    write_starter(root)
    data = root / "data"
    flights = pq.read_table(data / "flights.parquet")
    departs = pc.field("scheduled_departure_at")
    is_kept = (departs >= pa.scalar(SINCE)) & (departs < pa.scalar(UNTIL)) & pc.field("carrier").isin(AIRLINES)
    pq.write_table(flights.filter(is_kept), data / "flights.parquet")
    return root


@pytest.mark.slow
def test_three_weeks_of_flights_come_to_the_same_rows(bigquery_server: Emulator, tmp_path: Path) -> None:
    pair = Pair(write_slice(tmp_path / "here" / "nyc"), write_slice(tmp_path / "there" / "nyc"), bigquery_server)
    done = pair.run("run", "--since", FIRST, "--as-of", LAST)[1]
    weeks = [(row["n_scored"] > 500, row["n_windows"]) for row in done.rows]
    assert weeks == [(False, 0), (True, 1), (True, 2), (True, 2)]
    for relation in ("late_requests", "late_labels"):
        assert pair.agree(f"select * from {relation}") > 1000
    counted = {table: pair.agree(f"select * from wml.{table}") for table in pair.tables() if table != "build_history"}
    assert counted["metrics"] > 300
    assert counted["fairness"] > 20
    assert counted["drift"] > 20
    assert counted["request_log_late"] > 1000
