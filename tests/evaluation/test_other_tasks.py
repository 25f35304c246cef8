"""Regression and many classes, slice by slice, against scikit-learn."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from sklearn import metrics as sk

from .conftest import metrics_of


def regression_rows(n: int, *, weighted: bool) -> dict[str, Any]:
    rng = np.random.default_rng(3)
    label = 1e6 + rng.gamma(2.0, 10.0, n)
    rows: dict[str, Any] = {
        "score": label + rng.normal(0.5, 4.0, n),
        "label": label,
        "group": [["a", "b", None][i] for i in rng.integers(0, 3, n)],
    }
    if weighted:
        rows["sample_weight"] = rng.random(n) + 0.2
    return rows


def regression_oracle(y: np.ndarray, s: np.ndarray, w: np.ndarray | None) -> dict[str, float]:
    return {
        "mean_absolute_error": sk.mean_absolute_error(y, s, sample_weight=w),
        "mean_squared_error": sk.mean_squared_error(y, s, sample_weight=w),
        "root_mean_squared_error": sk.root_mean_squared_error(y, s, sample_weight=w),
        "median_absolute_error": sk.median_absolute_error(y, s, sample_weight=w),
        "r2_score": sk.r2_score(y, s, sample_weight=w),
        "explained_variance": sk.explained_variance_score(y, s, sample_weight=w),
        "mean_error": float(np.average(s - y, weights=w)),
        "mean_prediction": float(np.average(s, weights=w)),
        "mean_label": float(np.average(y, weights=w)),
    }


@pytest.mark.parametrize("weighted", [False, True])
def test_regression_agrees_with_scikit_learn(run, warehouse, weighted):
    rows = regression_rows(301, weighted=weighted)
    run(rows, task="regression", slices=["group"])
    group = np.array([x or "(null)" for x in rows["group"]])
    found = {"all": metrics_of(warehouse)["all"], **metrics_of(warehouse, "group")}
    assert set(found) == {"all", "a", "b", "(null)"}
    for value, metrics in found.items():
        mask = np.ones(301, dtype=bool) if value == "all" else group == value
        w = rows["sample_weight"][mask] if weighted else None
        want = regression_oracle(rows["label"][mask], rows["score"][mask], w)
        assert {name: metrics[name]["value"] for name in want} == pytest.approx(want, rel=1e-9, abs=1e-9)


def test_logarithmic_errors_need_numbers_that_are_not_negative(run, warehouse):
    rows = {"prediction": [1.0, 2.5, 0.0, 7.0], "label": [1, 2, 0, 9], "group": ["a"] * 4}
    run(rows, task="regression")
    want = sk.mean_squared_log_error(rows["label"], rows["prediction"])
    assert metrics_of(warehouse)["all"]["mean_squared_log_error"]["value"] == pytest.approx(want, abs=1e-12)
    run({**rows, "prediction": [1.0, 2.5, -0.5, 7.0]}, task="regression", restate=True)
    row = metrics_of(warehouse)["all"]["mean_squared_log_error"]
    assert (row["value"], row["reason"]) == (None, "a label or a prediction is negative")


def test_labels_that_do_not_vary_have_no_r2(run, warehouse):
    run({"score": [0.5, 0.7], "label": [0.1, 0.1]}, task="regression")
    row = metrics_of(warehouse)["all"]["r2_score"]
    assert (row["value"], row["reason"]) == (None, "labels do not vary")


def test_the_mean_error_has_a_normal_interval(run, warehouse):
    rows = regression_rows(100, weighted=False)
    run(rows, task="regression")
    row = metrics_of(warehouse)["all"]["mean_error"]
    half = 1.959963984540054 * np.std(rows["score"] - rows["label"], ddof=1) / 10
    assert row["ci_upper"] - row["value"] == pytest.approx(half, rel=1e-6)


def multiclass_oracle(y: np.ndarray, p: np.ndarray, w: np.ndarray | None) -> dict[str, float]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        want = {
            "accuracy": sk.accuracy_score(y, p, sample_weight=w),
            "balanced_accuracy": sk.balanced_accuracy_score(y, p, sample_weight=w),
        }
        for name, function in {"precision": sk.precision_score, "recall": sk.recall_score, "f1": sk.f1_score}.items():
            for average in ("macro", "micro", "weighted"):
                want[f"{name}_{average}"] = function(y, p, average=average, sample_weight=w, zero_division=0)
    return want


@pytest.mark.parametrize("weighted", [False, True])
def test_many_classes_agree_with_scikit_learn(run, warehouse, weighted):
    rng = np.random.default_rng(4)
    label = rng.choice(["early", "late", "on time"], 240)
    prediction = np.where(rng.random(240) < 0.5, label, rng.choice(["early", "late", "cancelled"], 240))
    rows: dict[str, Any] = {"prediction": prediction.tolist(), "label": label.tolist()}
    rows["group"] = rng.choice(["a", "b"], 240).tolist()
    weight = rng.random(240) + 0.5 if weighted else None
    if weighted:
        rows["sample_weight"] = weight
    run(rows, task="multiclass", slices=["group"], min_slice_size=0)
    for value, found in {**metrics_of(warehouse), **metrics_of(warehouse, "group")}.items():
        mask = np.ones(240, dtype=bool) if value == "all" else np.array(rows["group"]) == value
        y, p, w = label[mask], prediction[mask], weight[mask] if weight is not None else None
        want = multiclass_oracle(y, p, w)
        assert {name: found[name]["value"] for name in want} == pytest.approx(want, abs=1e-12)
