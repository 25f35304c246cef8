"""How rows are sorted for the ranking metrics, which must not show in them."""

from __future__ import annotations

import numpy as np
import pytest

from warehouse_ml.evaluation import ranking

from .conftest import table

RANKED = ("roc_auc", "average_precision", "kolmogorov_smirnov")


@pytest.mark.parametrize("digits", [1, 2, 9])
@pytest.mark.parametrize(
    ("narrow_bits", "fewest_narrow", "most_sorted"),
    [
        # Keys of 64 bits, everything at once; then one slice set at a time.
        (8, 64, 10_000_000),
        (8, 64, 1),
        # Keys of 32 bits over a few slices at a time, in the middle of a slice set too.
        (14, 1, 10_000_000),
        (13, 1, 900),
    ],
)
def test_neither_batches_nor_keys_show(run, warehouse, monkeypatch, digits, narrow_bits, fewest_narrow, most_sorted):
    random = np.random.default_rng(digits)
    n = 800
    score = np.round(random.random(n), digits)
    rows = {
        "score": score.tolist(),
        "label": [
            bool(x) if known else None
            for x, known in zip(random.random(n) < score, random.random(n) < 0.95, strict=True)
        ],
        "origin": random.choice(["EWR", "JFK", "LGA", None], n).tolist(),
        "carrier": random.choice(list("abcdefg"), n).tolist(),
    }
    config = {"slices": ["origin", "carrier", ["origin", "carrier"]], "min_slice_size": 0}

    def ranked():
        run(rows, restate=True, **config)
        found = {
            (row["slice_key"], row["slice_value"], row["metric"]): (row["value"], row["ci_lower"], row["ci_upper"])
            for row in table(warehouse, "metrics")
            if row["metric"] in RANKED
        }
        assert len(found) == 3 * (1 + 4 + 7 + 28)
        return found

    whole = ranked()
    monkeypatch.setattr(ranking, "_NARROW_BITS", narrow_bits)
    monkeypatch.setattr(ranking, "_FEWEST_NARROW", fewest_narrow)
    monkeypatch.setattr(ranking, "_MOST_SORTED", most_sorted)
    for key, values in ranked().items():
        assert values == pytest.approx(whole[key], abs=1e-12, nan_ok=True), key


def test_slices_are_sorted_in_runs_that_fit():
    sizes = [
        {"slice_set": 0, "first_slice": 1, "last_slice": 1, "n_rows": 100},
        {"slice_set": 1, "first_slice": 2, "last_slice": 5, "n_rows": 100},
        {"slice_set": 3, "first_slice": 6, "last_slice": 20, "n_rows": 90},
    ]

    def batches(most_slices):
        return [
            (batch["some"], batch["first_slice"], batch["last_slice"]) for batch in ranking._batches(sizes, most_slices)
        ]

    assert batches(None) == [([0, 1, 3], 1, 20)]
    assert batches(8) == [([0, 1], 1, 5), ([3], 6, 13), ([3], 14, 20)]
    assert batches(4) == [([0], 1, 1), ([1], 2, 5), ([3], 6, 9), ([3], 10, 13), ([3], 14, 17), ([3], 18, 20)]
    assert [batch["some"] for batch in ranking._batches([], None)] == [[0]]
