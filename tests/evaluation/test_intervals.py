"""Intervals against a delete-one jackknife of scikit-learn's metrics, and what holds of any interval on any rows."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.special import logit
from sklearn import metrics as sk
from statsmodels.stats.proportion import proportion_confint

from .conftest import metrics_of
from .test_binary import Z, check, oracle
from .test_coverage import binary_population, multiclass_population, regression_population
from .test_other_tasks import multiclass_oracle, regression_oracle

SCALES: dict[str, Callable[[float], float]] = {
    "logit": logit,
    "delong": logit,
    "log": math.log,
    "log_complement": lambda x: math.log(1 - x),
    "normal": float,
}
Values = Callable[[np.ndarray], dict[str, float]]


def jackknife(values: Values, rows: list[tuple[Any, ...]], scales: dict[str, str]) -> dict[str, float]:
    """The standard error of each metric on its scale, from leaving out each row once; equal rows leave the same."""
    n = len(rows)
    known: dict[tuple[Any, ...], dict[str, float]] = {}
    for i, row in enumerate(rows):
        if row not in known:
            known[row] = values(np.delete(np.arange(n), i))
    without = [known[row] for row in rows]
    errors = {}
    for name, scale in scales.items():
        scaled = np.array([SCALES[scale](row[name]) for row in without])
        errors[name] = float(np.sqrt((n - 1) / n * ((scaled - scaled.mean()) ** 2).sum()))
    return errors


def scored(y: np.ndarray, s: np.ndarray, w: np.ndarray | None) -> dict[str, float]:
    """The metrics of scores alone, as the oracle of every metric has them."""
    return {
        "roc_auc": sk.roc_auc_score(y, s, sample_weight=w),
        "average_precision": sk.average_precision_score(y, s, sample_weight=w),
        "log_loss": float(np.average(-np.log(np.where(y == 1, s, 1 - s)), weights=w)),
        "brier_score": float(np.average((s - y) ** 2, weights=w)),
        "mean_prediction": float(np.average(s, weights=w)),
        "calibration_ratio": float(np.average(s, weights=w) / np.average(y, weights=w)),
    }


def test_the_metrics_of_scores_are_the_oracles():
    rows = binary_population(np.random.default_rng(1), 200)
    y, s, w = rows["label"], rows["score"], rows["sample_weight"]
    found = scored(y, s, w)
    want = oracle(y.astype(bool), s, w)
    assert found == pytest.approx({name: want[name] for name in found}, rel=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("task", ["binary", "regression", "multiclass"])
def test_half_an_interval_is_that_of_a_jackknife(run, warehouse, task, weighted):
    n = 250
    rng = np.random.default_rng(9)
    population = {
        "binary": binary_population,
        "regression": regression_population,
        "multiclass": multiclass_population,
    }[task]
    rows: dict[str, Any] = population(rng, n)
    if not weighted:
        del rows["sample_weight"]
    run(rows, task=task)
    y, p, w = rows["label"], rows["prediction" if task == "multiclass" else "score"], rows.get("sample_weight")

    def values(kept: np.ndarray) -> dict[str, float]:
        weight = None if w is None else w[kept]
        if task == "binary":
            return scored(y[kept], p[kept], weight)
        if task == "multiclass":
            return multiclass_oracle(y[kept].astype(int), p[kept].astype(int), weight)
        logarithmic = sk.mean_squared_log_error(y[kept], p[kept], sample_weight=weight)
        return regression_oracle(y[kept], p[kept], weight) | {"mean_squared_log_error": logarithmic}

    found = metrics_of(warehouse)["all"]
    scales = {name: row["ci_method"] for name, row in found.items() if row["ci_method"] in SCALES}
    assert len(scales) >= {"binary": 6, "regression": 9, "multiclass": 3}[task]
    want = jackknife(values, list(zip(y, p, [None] * n if w is None else w, strict=True)), scales)
    got = {
        name: abs(SCALES[scale](found[name]["ci_upper"]) - SCALES[scale](found[name]["ci_lower"])) / (2 * Z)
        for name, scale in scales.items()
    }
    assert got == pytest.approx(want, rel=0.05)


def test_f1_has_wilsons_interval_of_the_jaccard_index(run, warehouse):
    rows = binary_population(np.random.default_rng(3), 200)
    run({"score": rows["score"], "label": rows["label"]})
    row = metrics_of(warehouse)["all"]["f1_score"]
    predicted, label = rows["score"] >= 0.5, rows["label"] == 1
    low, high = proportion_confint((predicted & label).sum(), (predicted | label).sum(), method="wilson")
    assert row["ci_method"] == "wilson_jaccard"
    assert (row["ci_lower"], row["ci_upper"]) == pytest.approx((2 * low / (1 + low), 2 * high / (1 + high)), abs=1e-12)


def newcombe(shares: list[tuple[float, float]]) -> tuple[float, float]:
    """Of the mean of independent shares, each counted among n."""
    bounds = [proportion_confint(k, n, method="wilson") for k, n in shares]
    rates = [k / n for k, n in shares]
    mean, count = sum(rates) / len(rates), len(rates)
    low = math.sqrt(sum((rate - low) ** 2 for rate, (low, _) in zip(rates, bounds, strict=True))) / count
    high = math.sqrt(sum((high - rate) ** 2 for rate, (_, high) in zip(rates, bounds, strict=True))) / count
    return mean - low, mean + high


def test_balanced_accuracy_has_newcombes_interval(run, warehouse):
    rows = binary_population(np.random.default_rng(4), 200)
    run({"score": rows["score"], "label": rows["label"]})
    row = metrics_of(warehouse)["all"]["balanced_accuracy"]
    predicted, label = rows["score"] >= 0.5, rows["label"] == 1
    want = newcombe([((predicted & label).sum(), label.sum()), ((~predicted & ~label).sum(), (~label).sum())])
    assert row["ci_method"] == "newcombe"
    assert (row["ci_lower"], row["ci_upper"]) == pytest.approx(want, abs=1e-12)


def test_the_mean_recall_of_many_classes_has_newcombes_interval(run, warehouse):
    rows = multiclass_population(np.random.default_rng(4), 300)
    run({"prediction": rows["prediction"], "label": rows["label"]}, task="multiclass")
    table = sk.confusion_matrix(rows["label"], rows["prediction"])
    for name, among in {"recall_macro": table.sum(1), "precision_macro": table.sum(0)}.items():
        row = metrics_of(warehouse)["all"][name]
        want = newcombe(list(zip(np.diag(table), among, strict=True)))
        assert (row["ci_lower"], row["ci_upper"]) == pytest.approx(want, abs=1e-12)


def test_the_matthews_coefficient_has_fishers_interval_with_half_a_row_in_each_cell(run, warehouse):
    rows = binary_population(np.random.default_rng(4), 150)
    run({"score": rows["score"], "label": rows["label"]})
    row = metrics_of(warehouse)["all"]["matthews_correlation_coefficient"]
    cells = sk.confusion_matrix(rows["label"], rows["score"] >= 0.5).ravel() + 0.5

    def coefficient(cells: np.ndarray) -> float:
        tn, fp, fn, tp = cells
        return float((tp * tn - fp * fn) / math.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)))

    steps = np.eye(4) * 1e-4
    gradient = [(coefficient(cells + step) - coefficient(cells - step)) / 2e-4 for step in steps]
    middle = coefficient(cells)
    half = Z * math.sqrt(sum(cells * np.square(gradient))) / (1 - middle**2)
    want = (math.tanh(math.atanh(middle) - half), math.tanh(math.atanh(middle) + half))
    assert row["ci_method"] == "fisher"
    assert (row["ci_lower"], row["ci_upper"]) == pytest.approx(want, abs=1e-7)


def test_a_perfect_sample_is_not_taken_for_a_perfect_model(run, warehouse):
    run({"score": [0.1] * 40 + [0.9] * 40, "label": [0] * 40 + [1] * 40})
    found = metrics_of(warehouse)["all"]
    for name in ("roc_auc", "average_precision", "f1_score", "balanced_accuracy", "matthews_correlation_coefficient"):
        row = found[name]
        assert row["value"] == row["ci_upper"] == pytest.approx(1)
        assert 0.7 < row["ci_lower"] < 0.97
    wilson, _ = proportion_confint(40, 40, method="wilson")
    assert found["roc_auc"]["ci_lower"] == pytest.approx(wilson, abs=1e-12)


UNIT = {"log_loss": (0, math.inf), "calibration_ratio": (0, math.inf), "matthews_correlation_coefficient": (-1, 1)}
REGRESSION = {"r2_score": (-math.inf, 1), "explained_variance": (-math.inf, 1)}
UNBOUNDED = {"mean_error", "mean_prediction", "mean_label"}


def check_intervals(found: dict[str, dict[str, Any]], task: str) -> None:
    for name, row in found.items():
        values = [row[column] for column in ("value", "ci_lower", "ci_upper")]
        assert all(value is None or math.isfinite(value) for value in values)
        assert (row["value"] is None) == (row["reason"] is not None)
        assert (row["ci_lower"] is None) == (row["ci_upper"] is None) == (row["ci_method"] is None)
        if row["ci_lower"] is None:
            continue
        low, high = UNIT.get(name, (0, 1))
        if task == "regression" and name != "label_coverage":
            low, high = (-math.inf, math.inf) if name in UNBOUNDED else REGRESSION.get(name, (0, math.inf))
        assert low <= row["ci_lower"] <= row["value"] <= row["ci_upper"] <= high, name


FEW = settings(
    max_examples=5, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
WEIGHT = st.sampled_from([0.0, 0.5, 1.0, 2.5])
# Many small groups in each of a few runs: a group is an example of its own.
GROUP = st.sampled_from([*"abcdefgh", None])


@FEW
@given(
    data=st.lists(
        st.tuples(
            st.sampled_from([0.001, 0.1, 0.3, 0.5, 0.7, 0.999]), st.sampled_from([True, False, None]), WEIGHT, GROUP
        ),
        min_size=20,
        max_size=75,
    )
)
def test_few_weighted_rows_of_two_classes(run, warehouse, data):
    score, label, weight, group = (list(column) for column in zip(*data, strict=True))
    rows = {"score": score, "label": [None if x is None else float(x) for x in label], "sample_weight": weight}
    run({**rows, "group": group}, slices=["group"], min_slice_size=0, restate=True)
    names = np.array([x or "(null)" for x in group])
    for value, found in metrics_of(warehouse, "group").items():
        if (names == value).any():
            check(rows, found, names == value)
            check_intervals(found, "binary")


NUMBER = st.sampled_from([-1.5, 0.0, 0.25, 1.0, 3.0, 1e6])


@settings(FEW, max_examples=10)
@given(
    data=st.lists(
        st.tuples(NUMBER, st.one_of(st.none(), NUMBER), WEIGHT, st.sampled_from(["a", "b", None])),
        min_size=1,
        max_size=25,
    )
)
def test_few_weighted_rows_of_a_regression(run, warehouse, data):
    score, label, weight, group = (list(column) for column in zip(*data, strict=True))
    rows = {"score": score, "label": [None if x is None else float(x) for x in label], "sample_weight": weight}
    run({**rows, "group": group}, task="regression", slices=["group"], min_slice_size=0, restate=True)
    names = np.array([x or "(null)" for x in group])
    for value, found in metrics_of(warehouse, "group").items():
        kept = [i for i in range(len(data)) if names[i] == value and label[i] is not None]
        if not (names == value).any():
            continue
        check_intervals(found, "regression")
        y, s, w = (np.array([column[i] for i in kept], dtype=float) for column in (label, score, weight))
        if not w.sum() > 0:
            assert all(found[name]["value"] is None for name in ("mean_error", "r2_score", "median_absolute_error"))
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            want = regression_oracle(y, s, w)
        if len(set(y[w > 0])) == 1:
            del want["r2_score"], want["explained_variance"]
        if min(*y, *s, 0.0) >= 0:
            want["mean_squared_log_error"] = sk.mean_squared_log_error(y, s, sample_weight=w)
        got = {name: row["value"] for name, row in found.items() if row["value"] is not None}
        assert got.keys() - want.keys() == {"n_requests", "n_labelled", "label_coverage"}
        assert {name: got[name] for name in want} == pytest.approx(want, rel=1e-9, abs=1e-9)


@FEW
@given(
    data=st.lists(
        st.tuples(st.sampled_from("xyz"), st.sampled_from(["w", "x", "y", "z", None]), WEIGHT, GROUP),
        min_size=20,
        max_size=75,
    )
)
def test_few_weighted_rows_of_many_classes(run, warehouse, data):
    prediction, label, weight, group = (list(column) for column in zip(*data, strict=True))
    rows = {"prediction": prediction, "label": label, "sample_weight": weight, "group": group}
    run(rows, task="multiclass", slices=["group"], min_slice_size=0, restate=True)
    names = np.array([x or "(null)" for x in group])
    for value, found in metrics_of(warehouse, "group").items():
        kept = [i for i in range(len(data)) if names[i] == value and label[i] is not None]
        if not (names == value).any():
            continue
        check_intervals(found, "multiclass")
        w = np.array([weight[i] for i in kept])
        if w.sum() > 0:
            want = multiclass_oracle(np.array([label[i] for i in kept]), np.array([prediction[i] for i in kept]), w)
            assert {name: found[name]["value"] for name in want} == pytest.approx(want, abs=1e-9)
