"""Drift of columns whose numbers are counted in cells: any shape of column is measured as numpy and scipy do."""

from __future__ import annotations

import datetime as dt
import itertools
import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2_contingency, ks_2samp, wasserstein_distance

from warehouse_ml.evaluation import DriftInput, drift, evaluate
from warehouse_ml.evaluation.drift_pieces import SHARES, cut
from warehouse_ml.tables import ensure_tables
from warehouse_ml.templates import statement
from warehouse_ml.warehouses.base import Relation
from warehouse_ml.warehouses.duckdb import DuckDBWarehouse

from .conftest import AS_OF, FIRST_DAY, make_spec, table, with_requests

N = 12_000


@pytest.fixture(scope="module")
def shared():
    warehouse = DuckDBWarehouse(threads=2)
    ensure_tables(warehouse)
    yield warehouse
    warehouse.close()


@pytest.fixture(autouse=True)
def _counted_in_cells(monkeypatch):
    monkeypatch.setattr(drift, "_MOST_LISTED_REQUESTS", -1)


def drift_of(warehouse, reference, current, *, days=None, **config):
    """Return the rows of ``wml.drift`` for columns of numbers, by window, column and metric."""
    days = np.zeros(len(next(iter(current.values()))), int) if days is None else days
    times = pa.array([FIRST_DAY + dt.timedelta(days=int(day)) for day in days], pa.timestamp("us", tz="UTC"))
    warehouse.load(Relation("reference"), pa.table(reference))
    warehouse.load(Relation("asked"), pa.table({**current, "requested_at": times}))
    told = {"requested_at": [FIRST_DAY + dt.timedelta(days=int(day)) for day in sorted(set(days)) or [0]]}
    n = len(told["requested_at"])
    warehouse.load(Relation("joined_rows"), pa.table(with_requests({**told, "score": [0.5] * n, "label": [True] * n})))
    given = DriftInput(1, "from reference", "from asked", dict.fromkeys(reference, "numeric"), **config.pop("told", {}))
    warehouse.run("delete from wml.drift")
    warehouse.run("delete from wml.evaluations")
    rows = "select *, 1 as model_version from joined_rows"
    evaluate(warehouse, make_spec(**config), rows, as_of=AS_OF, restate=True, drift=[given])
    return {(row["window_start"], row["input"], row["metric"]): row for row in table(warehouse, "drift")}


def expected_of(reference, current):
    """Return the metrics by numpy and scipy; numbers that are not finite are nulls."""
    a, b = (np.asarray([x for x in side if x is not None and math.isfinite(x)], float) for side in (reference, current))
    edges = np.sort(a)[[-(-i * len(a) // 10) - 1 for i in range(1, 10)]]
    sides = ((a, len(reference)), (b, len(current)))
    counts = [np.append(np.bincount(np.searchsorted(edges, x), minlength=10), n - len(x)) for x, n in sides]
    counts = np.array(counts)
    counts = counts[:, counts.sum(axis=0) > 0]
    p, q = (np.maximum(row / row.sum(), 1e-4) for row in counts)
    return {
        "kolmogorov_smirnov": ks_2samp(a, b, method="asymp").statistic,
        "wasserstein": wasserstein_distance(a, b),
        "psi": np.sum((q - p) * np.log(q / p)),
        "l_infinity": np.abs(counts[0] / counts[0].sum() - counts[1] / counts[1].sum()).max(),
        "chi_square": chi2_contingency(counts, correction=False).statistic,
    }


def assert_agree(found, window, name, reference, current):
    for metric, expected in expected_of(reference, current).items():
        value = found[window, name, metric]["value"]
        if metric == "wasserstein":
            # Sums are kept from the middle of the reference: what is lost is a part of how far its numbers spread.
            spread = np.abs(np.asarray([x for x in reference if x is not None and math.isfinite(x)])).max()
            assert value == pytest.approx(expected, rel=1e-12, abs=max(1e-15 * spread, 1e-300)), (name, metric)
        else:
            assert value == pytest.approx(expected, rel=1e-9, abs=1e-12), (name, metric)


def shapes(rng, n):
    z = rng.normal(size=n)
    few = rng.random(n)
    return {
        "normal": z,
        "heavy": np.exp(3 * z),
        "heaviest": np.exp(12 * z),
        "cauchy": rng.standard_cauchy(n),
        "zeros": np.where(few < 0.6, 0.0, z),
        "no_more_than": np.minimum(z, 0.5),
        "no_less_than": np.maximum(z, -0.5),
        "two_points": np.where(few < 0.3, -1.0, np.where(few < 0.6, 2.0, z)),
        "marked_missing": np.where(few < 0.2, -999.0, z),
        "far_apart": np.where(few < 0.5, z, z + 1e6),
        "instants": 1.7e9 + np.round(rng.random(n) * 1e6),
        "close_together": 1e9 + np.round(z * 1e5) / 2**20,
        "integers": np.round(z * 1e15),
        "tiny": z * 1e-300,
        "smallest": np.round(z * 1e6) * 5e-324,
        "rounded": np.round(z, 3),
        "unknown": np.where(few < 0.1, np.nan, np.where(few > 0.95, np.inf, z)),
        "falling": -np.exp(2 * z),
    }


def test_any_shape_alike_and_apart(shared):
    rng = np.random.default_rng(3)
    reference, alike = shapes(rng, N), shapes(rng, N // 2)
    found = drift_of(shared, reference, alike)
    for name, values in reference.items():
        assert_agree(found, None, name, values, alike[name])
    apart = {name: values * 1.1 + np.nanmin(np.abs(values[:7])) / 5 for name, values in alike.items()}
    found = drift_of(shared, reference, apart)
    for name, values in reference.items():
        assert_agree(found, None, name, values, apart[name])


def test_one_shape_against_another(shared):
    rng = np.random.default_rng(4)
    reference, other = shapes(rng, N), shapes(rng, 3000)
    names = list(reference)
    current = {name: other[names[(index + 1) % len(names)]] for index, name in enumerate(names)}
    found = drift_of(shared, reference, current)
    for name in names:
        assert_agree(found, None, name, reference[name], current[name])


def test_the_same_rows_in_another_order_do_not_drift(shared):
    reference = shapes(np.random.default_rng(5), N)
    order = np.random.default_rng(6).permutation(N)
    found = drift_of(shared, reference, {name: values[order] for name, values in reference.items()})
    values = {key[1:]: row["value"] for key, row in found.items()}
    # The squares of so small numbers are 0, and there is no standard deviation to divide by.
    assert {values.pop((name, "wasserstein_standardized")) for name in ("tiny", "smallest")} == {None}
    assert values == pytest.approx(dict.fromkeys(values, 0.0), abs=1e-12)


def test_the_order_of_rows_changes_nothing(shared):
    rng = np.random.default_rng(7)
    reference, current = shapes(rng, N), shapes(rng, 4000)
    first = drift_of(shared, reference, current)
    turned = ({name: values[::-1] for name, values in side.items()} for side in (reference, current))
    again = drift_of(shared, *turned)
    for key, row in first.items():
        # The standard deviation of numbers that lie close together far from 0 is not known to more digits.
        rel = 1e-6 if key[2] == "wasserstein_standardized" else 1e-12
        value = row["value"]
        assert again[key]["value"] == (None if value is None else pytest.approx(value, rel=rel, abs=1e-300)), key


def test_integers_beyond_the_doubles_are_the_nearest_doubles(shared):
    rng = np.random.default_rng(8)
    sides = [2**62 + rng.integers(0, 2**21, n) for n in (N, 5000)]
    found = drift_of(shared, *({"x": side} for side in sides))
    assert_agree(found, None, "x", *(side.astype(float).tolist() for side in sides))


@pytest.mark.parametrize("current", [[], [None, None], [float("nan")], [0.25], [1e308, -1e308], [3.0] * 50])
def test_a_window_of_little_or_nothing(shared, current):
    reference = np.random.default_rng(9).normal(size=N)
    found = drift_of(shared, {"x": reference}, {"x": pa.array(current, pa.float64())})
    if not current:
        assert not found or all(row["value"] is None for row in found.values())
        return
    known = [x for x in current if x is not None and math.isfinite(x)]
    if known:
        assert_agree(found, None, "x", reference, current)
    else:
        assert found[None, "x", "kolmogorov_smirnov"]["value"] is None
        assert found[None, "x", "wasserstein"]["value"] is None
        assert found[None, "x", "l_infinity"]["value"] == 1


@pytest.mark.parametrize("reference", [[1.0], [2.0] * 40, [None] * 5, [-1.0, None, 1e308, -1e308]])
def test_a_reference_of_little(shared, reference):
    current = np.random.default_rng(10).normal(size=N)
    found = drift_of(shared, {"x": pa.array(reference, pa.float64())}, {"x": current})
    if any(x is not None for x in reference):
        assert_agree(found, None, "x", reference, current)
    else:
        assert found[None, "x", "wasserstein"]["value"] is None
        assert found[None, "x", "l_infinity"]["value"] == 1


def test_numbers_at_the_ends_of_the_doubles(shared):
    rng = np.random.default_rng(11)
    sides = [np.where(rng.random(n) < 0.2, rng.choice([-1.7e308, 1.7e308], n), rng.normal(size=n)) for n in (N, 4000)]
    found = drift_of(shared, *({"x": side} for side in sides))
    expected = ks_2samp(*sides, method="asymp").statistic
    assert found[None, "x", "kolmogorov_smirnov"]["value"] == pytest.approx(expected, abs=1e-12)
    # Twice the largest double is no double: a distance that overflows is not told.
    assert found[None, "x", "wasserstein"]["value"] is None or found[None, "x", "wasserstein"]["value"] > 1e300


def test_several_windows_at_once_and_each_alone(shared):
    rng = np.random.default_rng(12)
    reference = {name: shapes(rng, N)[name] for name in ("normal", "zeros", "heavy", "rounded")}
    current = {name: values for name, values in shapes(rng, 6000).items() if name in reference}
    days = rng.choice([0, 7, 14], 6000)
    found = drift_of(shared, reference, current, days=days, window="week", told={"reference_hash": "several windows"})
    for day, name in itertools.product((0, 7, 14), reference):
        window = FIRST_DAY + dt.timedelta(days=day)
        assert_agree(found, window, name, reference[name], current[name][days == day])
    one = {name: values[days == 7] for name, values in current.items()}
    alone = drift_of(
        shared, reference, one, days=days[days == 7], window="week", told={"reference_hash": "several windows"}
    )
    for key, row in alone.items():
        assert row["value"] == pytest.approx(found[key]["value"], rel=1e-12, abs=1e-15), key


def test_the_window_before_in_cells(shared):
    rng = np.random.default_rng(13)
    x, days = rng.normal(size=2 * N), np.repeat([0, 7], N)
    x[days == 7] *= 1.2
    found = drift_of(shared, {"x": [0.0]}, {"x": x}, days=days, window="week", drift_reference="previous")
    assert_agree(found, FIRST_DAY + dt.timedelta(days=7), "x", x[days == 0], x[days == 7])


def profile(values):
    values = np.sort(values)
    n = len(values)
    return {
        "n_rows": n,
        "n_distinct": n,
        "edges": [float(values[-(-part * n // parts) - 1]) for part, parts in SHARES],
        "lowest": float(values[0]),
        "highest": float(values[-1]),
        "stddev": 1.0,
    }


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.floats(-1e300, 1e300), min_size=1, max_size=30),
    st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=40),
    st.integers(1, 2000),
)
def test_cells_keep_the_order_of_numbers(shared, reference, asked, times):
    # As if the column had many values: what decides that they are counted one by one is left out of this.
    pieces = cut({**profile(np.repeat(reference, times)), "n_distinct": 10**9})
    numbers = sorted(
        {
            *asked,
            *reference,
            *(x for value in reference for x in (np.nextafter(value, -np.inf), np.nextafter(value, np.inf))),
        }
    )
    numbers = [float(x) for x in numbers if math.isfinite(x)]
    shared.load(Relation("numbers"), pa.table({"input_0": numbers}), temporary=True)
    column = {"index": 0, "column": "input_0", **pieces.written}
    rows_sql = "select input_0, 0 as unit from numbers"
    shared.run(
        statement(
            "warehouse_ml.evaluation", "drift_rows.sql", "duckdb", table="placed", columns=[column], rows_sql=rows_sql
        )
    )
    placed = shared.fetch("select cell_0 from placed order by input_0")["cell_0"].to_pylist()
    assert placed == sorted(placed)
    assert placed[0] >= 0
    assert placed[-1] <= pieces.pieces[-1].first_cell + pieces.pieces[-1].n_cells
    # Python and the warehouse take the same steps: in the same cell are the ends of tenths.
    assert placed == [pieces.cell(number) for number in numbers]
    # No two pieces share a cell, and a value that stands alone has one of its own.
    for number, cell in zip(numbers, placed, strict=True):
        alone = [piece for piece in pieces.pieces if piece.form == "value" and piece.first_cell == cell]
        assert all(piece.start == number for piece in alone)
