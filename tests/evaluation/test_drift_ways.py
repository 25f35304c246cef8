"""The two ways to drift, every value in one order and numbers in cells, come to the same numbers."""

from __future__ import annotations

import datetime as dt
import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from warehouse_ml.evaluation import (
    DriftInput,
    JoinColumns,
    drift,
    drift_cells,
    drift_listed,
    drift_pieces,
    evaluate,
    write_drift,
)
from warehouse_ml.tables import ensure_tables
from warehouse_ml.warehouses.base import Relation
from warehouse_ml.warehouses.duckdb import DuckDBWarehouse

from .conftest import AS_OF, FIRST_DAY, make_spec, table, with_requests
from .test_drift_cells import assert_agree, shapes

LISTED, CELLS = 50_000, -1
COLUMNS = {"x": "numeric", "z": "numeric", "c": "categorical"}
JOINED = JoinColumns(
    has_score=False,
    has_prediction=False,
    has_label_known_at=False,
    has_version=True,
    has_weight=False,
    is_boolean_prediction=False,
    is_boolean_label=False,
)
SCHEMA = pa.schema([("x", pa.float64()), ("z", pa.float64()), ("c", pa.string())])


@pytest.fixture(scope="module")
def shared():
    warehouse = DuckDBWarehouse(threads=2)
    ensure_tables(warehouse)
    yield warehouse
    warehouse.close()


def drift_of(warehouse, reference, current, days, *, columns=None, most=LISTED, config=None, **told):
    """Return the rows of ``wml.drift`` by window, column and metric, of at most so many requests listed."""
    times = pa.array([FIRST_DAY + dt.timedelta(days=int(day)) for day in days], pa.timestamp("us", tz="UTC"))
    warehouse.load(Relation("reference"), reference)
    warehouse.load(Relation("asked"), current.append_column("requested_at", times))
    rows = {"requested_at": times, "score": [0.5] * len(days), "label": [True] * len(days)}
    if not len(days):
        rows = {"requested_at": [FIRST_DAY], "score": [0.5], "label": [True]}
    warehouse.load(Relation("joined_rows"), pa.table(with_requests(rows)))
    given_input = DriftInput(1, "from reference", "from asked", columns or COLUMNS, **told)
    warehouse.run("delete from wml.drift")
    warehouse.run("delete from wml.evaluations")
    query = "select *, 1 as model_version from joined_rows"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drift, "_MOST_LISTED_REQUESTS", most)
        spec = make_spec(window="week", **(config or {}))
        evaluate(warehouse, spec, query, as_of=AS_OF, restate=True, drift=[given_input])
    return {(row["window_start"], row["input"], row["metric"]): row for row in table(warehouse, "drift")}


def assert_same(listed, cells, spread=1.0):
    """The same rows; values to 1e-12, of the numbers' spread where they are in the numbers' unit."""
    assert listed.keys() == cells.keys()
    for key, row in listed.items():
        other = cells[key]
        for name in row.keys() - {"value", "p_value"}:
            assert row[name] == other[name], (key, name)
        for name in ("value", "p_value"):
            expected = other[name]
            if expected is not None and key[2] == "wasserstein":
                expected = pytest.approx(expected, rel=1e-12, abs=1e-14 * spread)
            elif expected is not None and key[2] == "wasserstein_standardized":
                # The standard deviation is added up in another order: of numbers far from 0, less of it is known.
                expected = pytest.approx(expected, rel=1e-6)
            elif expected is not None:
                expected = pytest.approx(expected, rel=1e-12, abs=1e-12)
            assert row[name] == expected, (key, name)


number = st.one_of(
    st.none(),
    st.sampled_from([0.0, -0.0, 1.0, 1.5, -3.0, 1e9, 1e9 + 1e-3, float("nan"), float("inf")]),
    st.floats(-1e6, 1e6),
    # Whose squares are doubles too.
    st.floats(-1e140, 1e140),
)
row = st.tuples(number, st.sampled_from([None, 2.0, 3.0]), st.sampled_from(["a", "b", "1", "", None]))


def side(rows, times=1):
    return pa.Table.from_pylist([dict(zip(SCHEMA.names, row, strict=True)) for row in rows] * times, schema=SCHEMA)


def alone(warehouse, reference, current, days, way):
    """As ``drift_of``, without the rest of an evaluation."""
    times = pa.array([FIRST_DAY + dt.timedelta(days=day) for day in days], pa.timestamp("us", tz="UTC"))
    warehouse.load(Relation("reference"), reference)
    warehouse.load(Relation("asked"), current.append_column("requested_at", times))
    starts = [FIRST_DAY + dt.timedelta(days=7 * week) for week in range(3)]
    due = [
        {"unit": unit, "evaluation_id": str(unit), "version": 1, "window_start": start, "window_end": end}
        for unit, (start, end) in enumerate(zip(starts, [*starts[1:], AS_OF], strict=True), start=1)
    ]
    warehouse.load(Relation("wml_due"), pa.Table.from_pylist(due), temporary=True)
    warehouse.run("delete from wml.drift")
    given_input = DriftInput(1, "from reference", "from asked", COLUMNS)
    listed = [{**row, "n_requests": 0} for row in due]
    write_drift(warehouse, make_spec(window="week"), [given_input], listed if way == LISTED else due, AS_OF, JOINED)
    return {(row["window_start"], row["input"], row["metric"]): row for row in table(warehouse, "drift")}


@settings(max_examples=10, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@example([(1.0, 2.0, "a")], [], 1)
@example([(None, None, None)], [(1.0, 2.0, "a")], 1)
@example([(0.0, 2.0, "a"), (-0.0, 2.0, "b")], [(-0.0, 3.0, None)], 7)
@given(st.lists(row, max_size=40), st.lists(row, max_size=40), st.integers(1, 30))
def test_both_ways_come_to_the_same(shared, reference, current, times):
    days = [7 * (index % 3) for index in range(len(current))]
    sides = side(reference, times), side(current)
    known = [abs(row[0]) for row in (*reference, *current) if row[0] is not None and math.isfinite(row[0])]
    with pytest.MonkeyPatch.context() as patch:
        # Few values are many here, so that they stand in cells.
        patch.setattr(drift_pieces, "_MANY_VALUES", 3)
        patch.setattr(drift_pieces, "_ROWS_PER_VALUE", 1000)
        patch.setattr(drift_pieces, "_FEWEST_CELLS", 8)
        cells, listed = (alone(shared, *sides, days, way) for way in (CELLS, LISTED))
    assert_same(listed, cells, spread=max(known, default=0.0))


def test_any_shape_is_measured_as_scipy_does(shared, monkeypatch):
    monkeypatch.setattr(drift_listed, "_MOST_VALUES", 10**6)
    monkeypatch.setattr(drift_listed, "_MOST_VALUES_OF_WINDOWS", 10**6)
    monkeypatch.setattr(drift_cells, "cut", None)
    rng = np.random.default_rng(3)
    reference, current, days = shapes(rng, 3000), shapes(rng, 900), rng.choice([0, 7], 900)
    current["normal"] = current["normal"] * 1.1 + 0.2
    columns = dict.fromkeys(reference, "numeric")
    found = drift_of(shared, pa.table(reference), pa.table(current), days, columns=columns)
    for name, values in reference.items():
        for day in (0, 7):
            window = FIRST_DAY + dt.timedelta(days=day)
            assert_agree(found, window, name, values, current[name][days == day])


def test_the_window_before_both_ways(shared):
    rng = np.random.default_rng(4)
    x, days = rng.normal(size=900), np.sort(rng.choice([0, 7, 14], 900))
    current = pa.table({"x": x, "z": np.round(x), "c": rng.choice(["a", "b"], 900)})
    told = {"config": {"drift_reference": "previous"}}
    listed, cells = (drift_of(shared, side([]), current, days, most=most, **told) for most in (LISTED, CELLS))
    assert_same(listed, cells)
    assert sum(row["value"] is not None for row in listed.values()) > 20


@pytest.fixture
def rows():
    rng = np.random.default_rng(5)
    return [
        pa.table({"x": rng.normal(size=n), "z": rng.integers(0, 5, n).astype(float), "c": rng.choice(["a", "b"], n)})
        for n in (300, 100)
    ]


def profiles(warehouse):
    sql = "select profile, count(*) as n from wml.drift_profiles group by profile order by min(as_of), profile"
    return [tuple(row.values()) for row in warehouse.fetch(sql).to_pylist()]


def test_a_reference_is_kept_for_the_next_process(warehouse, rows, monkeypatch):
    days = [0] * 100
    first = drift_of(warehouse, *rows, days, reference_hash="a version")
    ((name, n_rows),) = profiles(warehouse)
    # Every number of x and z, a bucket for each of their tenths that has any, and one for each text.
    sql = "select count(*) as n from wml.drift_profiles where number is null and tenth is not null"
    (n_tenths,) = warehouse.fetch(sql)["n"].to_pylist()
    assert 10 < n_tenths <= 15
    assert n_rows == 300 + 5 + n_tenths + 2
    # As another process finds it: nothing in memory, and training rows that could not be read.
    monkeypatch.setattr(drift_listed, "_known", {})
    broken = pa.table({"nothing": [1.0]})
    again = drift_of(warehouse, broken, rows[1], days, reference_hash="a version")
    assert_same(again, first)
    # Another version, and other columns of the same one, are other profiles.
    drift_of(warehouse, *rows, days, reference_hash="another version")
    drift_of(warehouse, *rows, days, columns={"x": "numeric"}, reference_hash="a version")
    assert len(profiles(warehouse)) == 3
    assert (name, n_rows) in profiles(warehouse)
    # Without a name nothing is kept.
    drift_of(warehouse, *rows, days)
    assert len(profiles(warehouse)) == 3


def test_a_profile_that_was_taken_away_is_made_again(warehouse, rows):
    days = [0] * 100
    first = drift_of(warehouse, *rows, days, reference_hash="taken away")
    kept = profiles(warehouse)
    warehouse.run("delete from wml.drift_profiles")
    assert_same(drift_of(warehouse, *rows, days, reference_hash="taken away"), first)
    assert profiles(warehouse) == kept


def test_a_profile_that_was_rolled_back_is_made_again(warehouse, rows, monkeypatch):
    days = [0] * 100
    with monkeypatch.context() as patch:
        patch.setattr(drift_listed, "told", None)
        with pytest.raises(TypeError):
            drift_of(warehouse, *rows, days, reference_hash="rolled back")
    assert profiles(warehouse) == []
    found = drift_of(warehouse, *rows, days, reference_hash="rolled back")
    assert_same(found, drift_of(warehouse, *rows, days, most=CELLS))


def test_another_format_is_not_read(warehouse, rows, monkeypatch):
    days = [0] * 100
    drift_of(warehouse, *rows, days, reference_hash="a format")
    monkeypatch.setattr(drift_listed, "_FORMAT", 2)
    drift_of(warehouse, *rows, days, reference_hash="a format")
    assert len(profiles(warehouse)) == 2


def test_the_profiles_written_last_are_kept(warehouse, rows, monkeypatch):
    monkeypatch.setattr(drift_listed, "_MOST_PROFILES", 2)
    for name in "abc":
        drift_of(warehouse, *rows, [0] * 100, reference_hash=name)
    assert len(profiles(warehouse)) == 2


def test_too_many_values_are_not_listed(warehouse, rows, monkeypatch):
    days = [7 * (index % 2) for index in range(100)]
    cells = drift_of(warehouse, *rows, days, most=CELLS)
    monkeypatch.setattr(drift_listed, "_MOST_VALUES", 200)
    assert_same(drift_of(warehouse, *rows, days, reference_hash="too many"), cells)
    assert profiles(warehouse) == []
    # Nor are few values, where there are many windows of them.
    monkeypatch.setattr(drift_listed, "_MOST_VALUES", 1000)
    monkeypatch.setattr(drift_listed, "_too_long", set())
    monkeypatch.setattr(drift_listed, "_MOST_VALUES_OF_WINDOWS", 400)
    monkeypatch.setattr(drift_listed.Listed, "compare", None)
    assert_same(drift_of(warehouse, *rows, days, reference_hash="too many windows"), cells)
    assert len(profiles(warehouse)) == 1
