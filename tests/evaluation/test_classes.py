"""Rates of each class, and pairs of slices."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.metrics import precision_recall_fscore_support

from tests.evaluation.conftest import make_spec, metrics_of, table
from warehouse_ml.errors import DefinitionError

CLASSES = ["early", "late", "never"]


def rows_of(n: int, seed: int, *, has_weight: bool) -> dict[str, Any]:
    random = np.random.default_rng(seed)
    label = random.choice(CLASSES, n, p=[0.5, 0.3, 0.2])
    prediction = np.where(random.random(n) < 0.7, label, random.choice(CLASSES, n))
    rows = {"label": label, "prediction": prediction, "group": random.choice(["a", "b"], n)}
    return {**rows, "sample_weight": random.random(n)} if has_weight else rows


@pytest.mark.parametrize("has_weight", [False, True])
def test_rates_of_a_class_are_those_of_scikit_learn(run, warehouse, has_weight):
    rows = rows_of(600, 1, has_weight=has_weight)
    run(rows, task="multiclass", slices=["group"], min_slice_size=0)
    for key, value in (("overall", "all"), ("group", "a"), ("group", "b")):
        chosen = np.ones(600, bool) if key == "overall" else rows["group"] == value
        weight = rows["sample_weight"][chosen] if has_weight else None
        wanted = precision_recall_fscore_support(
            rows["label"][chosen], rows["prediction"][chosen], labels=CLASSES, sample_weight=weight
        )
        found = metrics_of(warehouse, key)[value]
        for index, name in enumerate(CLASSES):
            for rate, values in zip(("precision", "recall", "f1"), wanted[:3], strict=True):
                row = found[f"{rate}[{name}]"]
                assert row["value"] == pytest.approx(values[index], rel=1e-12)
                assert row["ci_lower"] < row["value"] < row["ci_upper"]
                assert row["better"] == "higher"
            among = rows["label"][chosen] == name
            denominator = weight[among].sum() if weight is not None else among.sum()
            assert found[f"recall[{name}]"]["denominator"] == pytest.approx(denominator)


def test_a_class_that_a_slice_lacks_has_a_row_with_its_reason(run, warehouse):
    rows = {"label": ["x", "x", "y"], "prediction": ["x", "x", "x"], "group": ["a", "a", "b"]}
    run(rows, task="multiclass", slices=["group"], min_slice_size=0)
    found = metrics_of(warehouse, "group")["a"]["recall[y]"]
    assert (found["value"], found["denominator"], found["reason"]) == (None, 0, "denominator is 0")


def test_pairs_of_the_single_columns_are_slices_too(run, warehouse):
    random = np.random.default_rng(2)
    rows = {name: random.choice(["x", "y"], 200) for name in ("a", "b", "c")}
    rows |= {"score": random.random(200), "label": random.random(200) < 0.5}
    run(rows, slices=["a", "b", ["c", "a"], "c"], pairs=True)
    keys = {row["slice_key"] for row in table(warehouse, "metrics")}
    assert keys == {"overall", "a", "b", "c", "c, a", "a, b", "b, c"}
    with pytest.raises(DefinitionError, match="pairs is 'all'"):
        make_spec(slices=["a"], pairs="all")
