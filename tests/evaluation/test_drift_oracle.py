"""Drift by scipy: every metric on small data with ties, constants, nulls and empty sides, and many cells."""

from __future__ import annotations

import datetime as dt
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon
from scipy.stats import chi2, chi2_contingency, ks_2samp, wasserstein_distance

from warehouse_ml.errors import DefinitionError
from warehouse_ml.evaluation import DriftInput, evaluate, window_before
from warehouse_ml.tables import ensure_tables
from warehouse_ml.templates import environment
from warehouse_ml.warehouses.base import Relation
from warehouse_ml.warehouses.duckdb import DuckDBWarehouse

from .conftest import AS_OF, FIRST_DAY, make_spec, table, with_requests

COLUMNS = {"x": "numeric", "c": "categorical"}


@pytest.fixture(scope="module")
def shared():
    warehouse = DuckDBWarehouse(threads=1)
    ensure_tables(warehouse)
    yield warehouse
    warehouse.close()


def drift_of(warehouse, reference, current, **given_input):
    """Return (input, metric) -> row of columns x and c."""
    schema = pa.schema([("x", pa.float64()), ("c", pa.string())])
    warehouse.load(Relation("reference"), pa.table(reference, schema=schema))
    asked = pa.table(current, schema=schema)
    times = pa.array([FIRST_DAY] * len(asked), pa.timestamp("us", tz="UTC"))
    warehouse.load(Relation("asked"), asked.append_column("requested_at", times))
    warehouse.load(Relation("joined_rows"), pa.table(with_requests({"score": [0.5], "label": [True]})))
    given_input = DriftInput(None, "from reference", "from asked", COLUMNS, **given_input)
    spec = make_spec()
    warehouse.run("delete from wml.drift")
    evaluate(warehouse, spec, "from joined_rows", as_of=AS_OF, restate=True, drift=[given_input])
    return {(row["input"], row["metric"]): row for row in table(warehouse, "drift")}


def known(values):
    return [value for value in values if value is not None and np.isfinite(value)]


def tenth(value, ordered):
    if value is None or not np.isfinite(value):
        return None
    edges = [ordered[-(-i * len(ordered) // 10) - 1] for i in range(1, 10)] if ordered else []
    return 1 + sum(value > edge for edge in edges) if ordered else 10


def by_scipy(reference, current):
    """Return the metrics of two lists of buckets."""
    left, right = Counter(reference), Counter(current)
    keys = sorted({*left, *right}, key=str)
    counts = np.array([[left[key] for key in keys], [right[key] for key in keys]])
    p, q = (row / row.sum() for row in counts)
    tested = chi2_contingency(counts, correction=False)
    low, high = np.maximum(p, 1e-4), np.maximum(q, 1e-4)
    return {
        "jensen_shannon_divergence": jensenshannon(p, q, base=2) ** 2,
        "l_infinity": np.abs(p - q).max(),
        "psi": np.sum((high - low) * np.log(high / low)),
        "chi_square": tested.statistic,
    }, tested.pvalue


number = st.one_of(
    st.none(),
    st.sampled_from([0.0, 1.0, 1.5, -3.0, 1e9, 1e9 + 1e-3, float("nan"), float("inf")]),
    st.floats(-1e6, 1e6),
)
text = st.sampled_from(["a", "b", "1", "", None])


@settings(max_examples=25, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@example([(0.0, "a"), (0.0, "a"), (1e9, "a")], [(0.0, "a"), (1.0, "a"), (40.0, "a"), (2.2250738585e-313, "a")])
@given(
    st.lists(st.tuples(number, text), max_size=60),
    st.lists(st.tuples(number, text), max_size=60),
)
def test_every_metric_is_scipys(shared, reference, current):
    sides = [{"x": [x for x, _ in side], "c": [c for _, c in side]} for side in (reference, current)]
    found = drift_of(shared, *sides)
    if not current:
        assert not found
        return
    if not reference:
        assert all(row["value"] is None and row["is_anomaly"] is None for row in found.values())
        return
    ordered = sorted(known(sides[0]["x"]))
    buckets = [[tenth(x, ordered) for x in side["x"]] for side in sides]
    for name, pair in (("x", buckets), ("c", [side["c"] for side in sides])):
        expected, p_value = by_scipy(*pair)
        values = {metric: found[name, metric]["value"] for metric in expected}
        assert values == pytest.approx(expected, abs=1e-9)
        assert found[name, "chi_square"]["p_value"] == pytest.approx(p_value, abs=1e-9)
    a, b = known(sides[0]["x"]), known(sides[1]["x"])
    values = [found["x", name]["value"] for name in ("kolmogorov_smirnov", "wasserstein", "wasserstein_standardized")]
    if not a or not b:
        assert values == [None] * 3
        return
    distance = wasserstein_distance(a, b)
    assert values[0] == pytest.approx(ks_2samp(a, b).statistic, abs=1e-12)
    assert values[1] == pytest.approx(distance, rel=1e-9, abs=1e-9)
    deviation = np.std(a)
    if deviation > 1e-6:
        assert values[2] == pytest.approx(distance / deviation, rel=1e-7)
    elif deviation == 0:
        assert values[2] is None


@pytest.mark.parametrize("shape", ["alike", "shifted", "tied", "heavy", "instants", "apart"])
def test_distances_are_exact_over_many_cells(shared, shape):
    rng = np.random.default_rng(5)
    a, b = rng.normal(size=60_000), rng.normal(size=20_000)
    if shape == "shifted":
        b = b * 1.3 + 0.05
    elif shape == "tied":
        a, b = np.round(a, 1), np.where(rng.random(20_000) < 0.5, 0.0, np.round(b, 2))
    elif shape == "heavy":
        a, b = np.exp(9 * a), np.exp(9.1 * b)
    elif shape == "instants":
        a, b = 1.4e9 + np.floor(a * 1e5), 1.4e9 + 300 + np.floor(b * 1e5)
    elif shape == "apart":
        b = b + 100
    found = drift_of(shared, *({"x": side, "c": ["a"] * len(side)} for side in (a, b)))
    assert found["x", "kolmogorov_smirnov"]["value"] == pytest.approx(ks_2samp(a, b).statistic, abs=1e-12)
    assert found["x", "wasserstein"]["value"] == pytest.approx(wasserstein_distance(a, b), rel=1e-9)


def test_a_chi_square_p_value_is_scipys():
    x, freedom = np.meshgrid([0.0, 1e-9, 0.3, 1.0, 4.2, 30.0, 250.0, 900.0], [0, 1, 2, 3, 4, 7, 30, 101, 500])
    warehouse = DuckDBWarehouse(threads=1)
    warehouse.load(Relation("given"), pa.table({"x": x.ravel(), "freedom": freedom.ravel()}))
    tail = environment("duckdb").globals["chi_square_upper_tail"]("given.x", "given.freedom")
    found = warehouse.fetch(f"select {tail} as p from given")["p"].to_numpy()
    warehouse.close()
    expected = np.where(freedom.ravel() == 0, 1.0, chi2.sf(x.ravel(), np.maximum(freedom.ravel(), 1)))
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-300)


def test_a_kept_reference_gives_the_same_numbers(shared):
    rng = np.random.default_rng(8)
    sides = [{"x": rng.normal(size=n).round(1), "c": rng.choice(["a", "b", None], n).tolist()} for n in (3000, 500)]
    told = {"reference_hash": "kept for this test", "importances": {"x": 0.75}}
    first = drift_of(shared, *sides, **told)
    again = drift_of(shared, *sides, **told)
    without = drift_of(shared, *sides)
    assert first == again
    for key, row in without.items():
        assert row["value"] == pytest.approx(first[key]["value"], rel=1e-12)
        assert row["importance"] is None
    assert {(row["input"], row["importance"]) for row in first.values()} == {("x", 0.75), ("c", None)}
    assert {(row["kind"], row["reference"]) for row in first.values()} == {("input", "training")}


def outputs(warehouse, rows, *, label=None, scores=None, **config):
    warehouse.load(Relation("reference"), pa.table({"x": [1.0, 2.0], "y": ["0", "1"]}))
    warehouse.load(Relation("joined_rows"), pa.table(with_requests(rows)))
    sql = "select 1.0 as x, requested_at from joined_rows"
    given = DriftInput(1, "from reference", sql, {"x": "numeric"}, label=label, scores=scores)
    evaluate(
        warehouse, make_spec(**config), "select *, 1 as model_version from joined_rows", as_of=AS_OF, drift=[given]
    )
    return [row for row in table(warehouse, "drift") if row["kind"] != "input"]


def test_predictions_and_labels_drift_too(warehouse):
    rows = {"score": [0.1, 0.9, 0.9, 0.4], "label": [True, True, None, False]}
    found = outputs(warehouse, rows, label="y", scores=lambda: pa.array([0.1, 0.2, 0.4, 0.6]))
    values = {(row["kind"], row["metric"]): row for row in found}
    assert {row["input"] for row in found} == {"(prediction)", "(label)"}
    assert values["prediction", "kolmogorov_smirnov"]["value"] == pytest.approx(0.5)
    expected = wasserstein_distance([0.1, 0.2, 0.4, 0.6], rows["score"])
    assert values["prediction", "wasserstein"]["value"] == pytest.approx(expected)
    # The label that is not known yet is not counted.
    assert values["label", "l_infinity"]["value"] == pytest.approx(2 / 3 - 1 / 2)
    assert values["label", "l_infinity"]["n_current"] == 3


def test_the_window_before_as_the_reference(warehouse):
    days = [0, 1, 7, 8, 9, 14]
    rows = {
        "requested_at": [FIRST_DAY + dt.timedelta(days=day) for day in days],
        "score": [0.1, 0.2, 0.1, 0.2, 0.9, 0.5],
        "label": [True, False, True, None, True, False],
    }
    found = outputs(warehouse, rows, window="week", drift_reference="previous")
    values = {
        (row["window_start"], row["kind"], row["metric"]): (row["value"], row["n_reference"], row["n_current"])
        for row in found
    }
    assert {row["reference"] for row in found} == {"previous"}
    second, third = FIRST_DAY + dt.timedelta(days=7), FIRST_DAY + dt.timedelta(days=14)
    assert values[FIRST_DAY, "prediction", "psi"] == (None, 0, 2)
    assert values[second, "prediction", "kolmogorov_smirnov"] == (pytest.approx(1 / 3), 2, 3)
    assert values[second, "label", "l_infinity"] == (pytest.approx(1 / 2), 2, 2)
    assert values[third, "prediction", "kolmogorov_smirnov"] == (pytest.approx(2 / 3), 3, 1)


@pytest.mark.parametrize(
    ("at", "window", "expected"),
    [
        ("2024-03-15T10:00:00", "month", "2024-02-01"),
        ("2024-01-01T00:00:00", "month", "2023-12-01"),
        ("2024-01-10T23:00:00", "week", "2024-01-01"),
        ("2024-03-01T00:00:00", "day", "2024-02-29"),
    ],
)
def test_where_the_window_before_begins(at, window, expected):
    start = dt.datetime.fromisoformat(at).replace(tzinfo=dt.UTC)
    assert window_before(start, window) == dt.datetime.fromisoformat(expected).replace(tzinfo=dt.UTC)


def test_an_unknown_reference_is_refused():
    with pytest.raises(DefinitionError, match=r"drift_reference is 'prior'"):
        make_spec(drift_reference="prior")
