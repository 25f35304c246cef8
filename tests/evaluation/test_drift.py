"""Drift of the inputs: the published cases, the buckets, and many windows at once."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pyarrow as pa
import pytest
from scipy.spatial.distance import jensenshannon

from warehouse_ml.errors import DefinitionError
from warehouse_ml.evaluation import DriftInput
from warehouse_ml.warehouses.base import Relation

from .conftest import FIRST_DAY, table


@pytest.fixture
def drift(run, warehouse):
    """Evaluate with the given reference and current columns; return (input, metric) -> row of the last window."""

    def evaluated(reference, current, columns, *, version=None, at=None, rows=None, **config):
        times = at or [FIRST_DAY] * len(next(iter(current.values())))
        warehouse.load(Relation("reference"), pa.table(reference))
        warehouse.load(Relation("asked"), pa.table({**current, "requested_at": times}))
        reference_hash = config.pop("reference_hash", None)
        given = DriftInput(
            version, "select * from reference;", "select * from asked", columns, reference_hash=reference_hash
        )
        run(rows or {"score": [0.5], "label": [True]}, drift=[given], restate=True, **config)
        return {(row["input"], row["metric"]): row for row in table(warehouse, "drift")}

    return evaluated


def test_the_divergences_that_tensorflow_data_validation_publishes(drift):
    found = drift({"x": [1.0, 1.0, 2.0, 2.0]}, {"x": [2.0, 3.0, 5.0, 5.0]}, {"x": "numeric"})
    row = found["x", "jensen_shannon_divergence"]
    assert row["value"] == pytest.approx(0.65563906222, abs=1e-10)
    assert (row["n_reference"], row["n_current"], row["threshold"], row["is_anomaly"]) == (4, 4, 0.3, True)
    assert row["method"].startswith("10 quantile bins")
    assert "base 2" in row["method"]
    found = drift({"x": [1.0, 1.0]}, {"x": [3.0, 4.0]}, {"x": "numeric"})
    assert found["x", "jensen_shannon_divergence"]["value"] == pytest.approx(1.0)


def test_l_infinity_is_the_largest_difference_of_shares(drift):
    reference = {"carrier": ["AA"] * 5 + ["UA"] * 3 + ["B6"] * 2}
    current = {"carrier": ["AA"] * 3 + ["UA"] * 3 + ["B6"] * 3 + ["new"]}
    row = drift(reference, current, {"carrier": "categorical"})["carrier", "l_infinity"]
    assert row["value"] == pytest.approx(0.2)
    assert not row["is_anomaly"]


def test_numeric_buckets_are_tenths_of_the_reference(drift):
    rng = np.random.default_rng(1)
    reference = rng.gamma(1.0, 0.1, 4000)
    current = np.concatenate([rng.gamma(1.3, 0.1, 900), [np.nan] * 100])
    found = drift({"x": reference}, {"x": current}, {"x": "numeric"})
    edges = np.quantile(reference, np.arange(1, 10) / 10, method="inverted_cdf")
    p = np.append(np.bincount(np.searchsorted(edges, reference), minlength=10), 0) / 4000
    q = np.append(np.bincount(np.searchsorted(edges, current[:900]), minlength=10), 100) / 1000
    assert found["x", "jensen_shannon_divergence"]["value"] == pytest.approx(jensenshannon(p, q, base=2) ** 2)
    floored = [np.maximum(shares, 1e-4) for shares in (p, q)]
    psi = np.sum((floored[1] - floored[0]) * np.log(floored[1] / floored[0]))
    assert found["x", "psi"]["value"] == pytest.approx(psi)


def test_the_same_rows_do_not_drift(drift):
    values = {"x": [0.1, 0.2, 0.3, None, 0.1 + 0.2], "c": ["a", None, "b", "a", "a"]}
    found = drift(values, values, {"x": "numeric", "c": "categorical"})
    binned = {"jensen_shannon_divergence", "psi", "l_infinity", "chi_square"}
    ordered = {"kolmogorov_smirnov", "wasserstein", "wasserstein_standardized"}
    assert set(found) == {("x", metric) for metric in binned | ordered} | {("c", metric) for metric in binned}
    assert [row["value"] for row in found.values()] == pytest.approx([0] * len(found), abs=1e-12)
    p_values = {key: row["p_value"] for key, row in found.items()}
    assert p_values == {key: 1 if key[1] == "chi_square" else None for key in found}
    assert not any(row["is_anomaly"] for row in found.values())


def test_each_window_has_its_own_rows(drift, warehouse):
    at = [FIRST_DAY, FIRST_DAY + dt.timedelta(days=8)]
    rows = {"requested_at": at, "score": [0.5, 0.5], "label": [True, True], "model_version": [1, 1]}
    drift({"c": ["a"]}, {"c": ["a", "b"]}, {"c": "categorical"}, version=1, at=at, rows=rows, window="week")
    found = [row for row in table(warehouse, "drift") if row["metric"] == "l_infinity"]
    values = {row["window_start"]: (row["value"], row["n_current"]) for row in found}
    assert values == {FIRST_DAY: (0, 1), FIRST_DAY + dt.timedelta(days=7): (1, 1)}


def test_a_named_reference_is_read_once(drift, warehouse):
    columns = {"x": "numeric"}
    first = drift({"x": [1.0, 2.0]}, {"x": [1.0, 1.0]}, columns, reference_hash="named once")
    again = drift({"x": [9.0, 9.0]}, {"x": [1.0, 1.0]}, columns, reference_hash="named once")
    assert first["x", "psi"]["value"] == again["x", "psi"]["value"]
    assert first["x", "psi"]["value"] > 0


def test_a_reference_without_rows_says_nothing(drift):
    empty = pa.array([], pa.float64())
    row = drift({"x": empty}, {"x": [1.0]}, {"x": "numeric"})["x", "psi"]
    assert (row["value"], row["is_anomaly"], row["n_reference"]) == (None, None, 0)


def test_an_unknown_kind_of_input_is_refused(drift):
    with pytest.raises(DefinitionError, match="kind of the input \"x\" is 'number'"):
        drift({"x": [1.0]}, {"x": [1.0]}, {"x": "number"})
