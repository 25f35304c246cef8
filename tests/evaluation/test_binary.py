"""Binary metrics, slice by slice, against scikit-learn, statsmodels and scipy."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit
from scipy.stats import ks_2samp
from sklearn import metrics as sk
from statsmodels.stats.proportion import proportion_confint

from .conftest import metrics_of

Z = 1.959963984540054
OUTCOMES = ("true_negatives", "false_positives", "false_negatives", "true_positives")


def binary_rows(n: int, seed: int, *, weighted: bool = False, digits: int = 2) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    score = np.clip(np.round(rng.random(n), digits), 0.001, 0.999)
    rows: dict[str, Any] = {
        "score": score,
        "label": [bool(x) for x in rng.random(n) < 0.15 + 0.6 * score],
        "origin": [[None, "EWR", "JFK", "LGA"][i] for i in rng.integers(0, 4, n)],
        "carrier": rng.integers(1, 4, n).tolist(),
    }
    if weighted:
        rows["sample_weight"] = np.round(rng.random(n) * 3 + 0.1, 3)
    return rows


def oracle(y: np.ndarray, s: np.ndarray, w: np.ndarray | None, threshold: float = 0.5) -> dict[str, float]:
    """The same metrics by scikit-learn; one that is not there cannot be computed."""
    p = s >= threshold
    weights = np.ones(len(y)) if w is None else w
    counts = sk.confusion_matrix(y, p, sample_weight=w, labels=[False, True]).ravel()
    tn, fp, fn, tp = (float(x) for x in counts)
    rates = {
        "selection_rate": (tp + fp, tp + fp + tn + fn),
        "prevalence": (tp + fn, tp + fp + tn + fn),
        "accuracy": (tp + tn, tp + fp + tn + fn),
        "precision": (tp, tp + fp),
        "recall": (tp, tp + fn),
        "specificity": (tn, tn + fp),
        "false_positive_rate": (fp, tn + fp),
        "false_negative_rate": (fn, tp + fn),
        "npv": (tn, tn + fn),
        "false_discovery_rate": (fp, tp + fp),
        "false_omission_rate": (fn, tn + fn),
        "f1_score": (2 * tp, 2 * tp + fp + fn),
    }
    want = {name: above / below for name, (above, below) in rates.items() if below > 0}
    want |= dict(zip(OUTCOMES, (tn, fp, fn, tp), strict=True))
    want["log_loss"] = sk.log_loss(y, s, sample_weight=w, labels=[False, True])
    want["brier_score"] = sk.brier_score_loss(y, s, sample_weight=w)
    want["mean_prediction"] = float(np.average(s, weights=weights))
    want["mean_label"] = float(np.average(y, weights=weights))
    bins = np.where(s >= 1, 9, np.floor(s * 10)).astype(int)
    gaps = [abs(np.sum((weights * (s - y))[bins == b])) for b in range(10)]
    want["expected_calibration_error"] = float(sum(gaps) / weights.sum())
    if y.any():
        want["average_precision"] = sk.average_precision_score(y, s, sample_weight=w)
        want["calibration_ratio"] = float(np.sum(weights * s) / np.sum(weights * y))
    if y.any() and not y.all():
        want["roc_auc"] = sk.roc_auc_score(y, s, sample_weight=w)
        want["kolmogorov_smirnov"] = widest_gap(y, s, w)
        want["balanced_accuracy"] = sk.balanced_accuracy_score(y, p, sample_weight=w)
        if p.any() and not p.all():
            want["matthews_correlation_coefficient"] = sk.matthews_corrcoef(y, p, sample_weight=w)
    return want


def widest_gap(y: np.ndarray, s: np.ndarray, w: np.ndarray | None) -> float:
    if w is None:
        with np.errstate(divide="ignore"):
            return float(ks_2samp(s[y], s[~y], method="asymp").statistic)
    negative, positive, _ = sk.roc_curve(y, s, sample_weight=w, drop_intermediate=False)
    return float(np.abs(positive - negative).max())


def check(rows: dict[str, Any], found: dict[str, Any], mask: np.ndarray) -> None:
    label = rows["label"]
    known = mask & np.array([x is not None for x in label])
    y = np.array([bool(x) for x in label])[known]
    weight = np.asarray(rows["sample_weight"])[known] if "sample_weight" in rows else None
    score = np.asarray(rows["score"])[known]
    # A row that weighs nothing is in the counts of rows alone.
    heavy = np.ones(len(y), dtype=bool) if weight is None else weight > 0
    want = dict.fromkeys(OUTCOMES, 0.0)
    if heavy.any():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            want = oracle(y[heavy], score[heavy], None if weight is None else weight[heavy])
    counts = {"n_requests": mask.sum(), "n_labelled": known.sum(), "n_positive": y.sum()}
    counts["label_coverage"] = known.sum() / mask.sum()
    want |= {name: float(value) for name, value in counts.items()}
    got = {name: row["value"] for name, row in found.items() if row["value"] is not None}
    assert got.keys() == want.keys()
    assert got == pytest.approx(want, abs=1e-9, rel=1e-9)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("digits", [1, 12])
def test_every_slice_agrees_with_scikit_learn(run, warehouse, weighted, digits):
    rows = binary_rows(700, seed=digits, weighted=weighted, digits=digits)
    rows["label"] = [None if i % 11 == 0 else x for i, x in enumerate(rows["label"])]
    run(rows, slices=["origin", ["origin", "carrier"]], min_slice_size=0)
    check(rows, metrics_of(warehouse)["all"], np.ones(700, dtype=bool))
    origin = np.array([x or "(null)" for x in rows["origin"]])
    carrier = np.array([str(x) for x in rows["carrier"]])
    by_origin = metrics_of(warehouse, "origin")
    assert set(by_origin) == {"(null)", "EWR", "JFK", "LGA"}
    for value, found in by_origin.items():
        check(rows, found, origin == value)
    pairs = metrics_of(warehouse, "origin, carrier")
    assert len(pairs) == 12
    for value, found in pairs.items():
        check(rows, found, np.array([f"{a}, {b}" == value for a, b in zip(origin, carrier, strict=True)]))


@settings(max_examples=4, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    data=st.lists(
        st.tuples(st.sampled_from([0.1, 0.3, 0.5, 0.7]), st.booleans(), st.sampled_from([*"abcdefgh", None])),
        min_size=20,
        max_size=75,
    )
)
def test_few_rows_with_ties_and_slices_of_one_class(run, warehouse, data):
    score, label, group = (list(column) for column in zip(*data, strict=True))
    rows = {"score": score, "label": label, "group": group}
    run(rows, slices=["group"], min_slice_size=0, restate=True)
    names = np.array([x or "(null)" for x in group])
    for value, found in metrics_of(warehouse, "group").items():
        if (names == value).any():
            check(rows, found, names == value)


def test_wilson_intervals_count_the_rows_of_the_metrics_own_denominator(run, warehouse):
    rows = binary_rows(400, seed=5)
    run(rows)
    found = metrics_of(warehouse)["all"]
    tp, fn = found["true_positives"]["value"], found["false_negatives"]["value"]
    recall = found["recall"]
    assert (recall["ci_method"], recall["denominator"], recall["n"]) == ("wilson", tp + fn, 400)
    want = proportion_confint(tp, tp + fn, method="wilson")
    assert (recall["ci_lower"], recall["ci_upper"]) == pytest.approx(want, abs=1e-12)


def test_the_effective_rows_of_a_rate_are_those_of_a_simple_sample_that_varies_as_much(run, warehouse):
    rows = binary_rows(300, seed=6, weighted=True)
    run(rows)
    row = metrics_of(warehouse)["all"]["selection_rate"]
    w, share = rows["sample_weight"], row["value"]
    linearised = (w**2 * ((rows["score"] >= 0.5) - share) ** 2).sum() / w.sum() ** 2
    effective = share * (1 - share) / linearised
    want = proportion_confint(share * effective, effective, method="wilson")
    assert row["ci_method"] == "wilson_kish"
    assert row["denominator"] == pytest.approx(w.sum())
    assert (row["ci_lower"], row["ci_upper"]) == pytest.approx(want, abs=1e-12)


def test_where_everything_is_counted_the_weights_alone_tell_the_effective_rows(run, warehouse):
    rows = binary_rows(100, seed=6, weighted=True)
    run({**rows, "score": [0.9] * 100})
    row = metrics_of(warehouse)["all"]["selection_rate"]
    w = rows["sample_weight"]
    effective = w.sum() ** 2 / (w**2).sum()
    want = proportion_confint(effective, effective, method="wilson")
    assert (row["ci_lower"], row["ci_upper"]) == pytest.approx(want, abs=1e-12)


def delong(y: np.ndarray, s: np.ndarray, w: np.ndarray | None = None) -> float:
    """The variance by placements, each weighted."""
    beats = (s[y][:, None] > s[~y][None, :]) + 0.5 * (s[y][:, None] == s[~y][None, :])
    w = np.ones(len(y)) if w is None else w
    total = 0.0
    for mine, placement in ((w[y], beats @ w[~y] / w[~y].sum()), (w[~y], w[y] @ beats / w[y].sum())):
        centre = np.average(placement, weights=mine)
        total += (mine**2 * (placement - centre) ** 2).sum() / (mine.sum() ** 2 - (mine**2).sum())
    return float(total)


def logit_interval(value: float, variance: float) -> tuple[float, float]:
    half = Z * np.sqrt(variance) / (value * (1 - value))
    return tuple(float(expit(logit(value) + sign * half)) for sign in (-1, 1))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("digits", [1, 6])
def test_the_interval_of_the_area_is_delongs_on_log_odds(run, warehouse, weighted, digits):
    rows = binary_rows(300, seed=7, digits=digits, weighted=weighted)
    run(rows)
    row = metrics_of(warehouse)["all"]["roc_auc"]
    variance = delong(np.array(rows["label"]), rows["score"], rows.get("sample_weight"))
    assert row["ci_method"] == "delong"
    assert (row["ci_lower"], row["ci_upper"]) == pytest.approx(logit_interval(row["value"], variance), abs=1e-10)


def test_the_interval_of_a_mean_in_0_to_1_stands_on_log_odds(run, warehouse):
    rows = binary_rows(200, seed=8)
    run(rows)
    row = metrics_of(warehouse)["all"]["brier_score"]
    losses = (rows["score"] - np.array(rows["label"])) ** 2
    assert row["ci_method"] == "logit"
    want = logit_interval(losses.mean(), losses.var(ddof=1) / 200)
    assert (row["ci_lower"], row["ci_upper"]) == pytest.approx(want, abs=1e-12)


@settings(max_examples=5, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    data=st.lists(
        st.tuples(
            st.integers(0, 12), st.booleans(), st.sampled_from([0.0, 0.5, 1.0, 3.0]), st.sampled_from("abcdefgh")
        ),
        min_size=24,
        max_size=120,
    ),
    weighted=st.booleans(),
)
def test_the_gap_of_scores_is_that_of_the_two_sample_test(run, warehouse, data, weighted):
    """Ties, weights of nothing, slices of one class, and classes of which the positives score lower."""
    score, label, weight, group = (np.array(column) for column in zip(*data, strict=True))
    rows = {"score": score / 12, "label": label, "group": group.tolist()}
    run({**rows, "sample_weight": weight} if weighted else rows, slices=["group"], min_slice_size=0, restate=True)
    for value, found in {**metrics_of(warehouse, "group"), **metrics_of(warehouse)}.items():
        among = (group == value) | (value == "all")
        heavy = among & ((weight > 0) | (not weighted))
        y, row = label[heavy], found["kolmogorov_smirnov"]
        if y.any() and not y.all():
            want = widest_gap(y, rows["score"][heavy], weight[heavy] if weighted else None)
            assert row["value"] == pytest.approx(want, abs=1e-12)
        else:
            assert row["value"] is None
            assert row["reason"] in ("labels of one class only", "denominator is 0")
        assert (row["ci_lower"], row["ci_upper"], row["ci_method"]) == (None, None, None)


def test_weights_that_are_whole_repeat_rows(run, warehouse):
    rows = binary_rows(120, seed=11)
    times = np.arange(120) % 4
    repeated = {name: np.repeat(np.array(rows[name]), times) for name in ("score", "label")}
    run({**rows, "sample_weight": times.astype(float)})
    weighted = metrics_of(warehouse)["all"]["kolmogorov_smirnov"]["value"]
    run(repeated, name="other")
    assert metrics_of(warehouse)["all"]["kolmogorov_smirnov"]["value"] == pytest.approx(weighted, abs=1e-12)


def test_the_confusion_that_tensorflow_model_analysis_publishes(run, warehouse):
    label = [1] * 1 + [0] * 3 + [0] * 2 + [1] * 4
    prediction = [1] * 4 + [0] * 6
    run({"prediction": prediction, "label": label})
    found = {name: row["value"] for name, row in metrics_of(warehouse)["all"].items()}
    assert [found[name] for name in OUTCOMES] == [2, 3, 4, 1]
    assert found["precision"] == 0.25
    assert found["recall"] == 0.2
    assert found["specificity"] == 0.4
    assert found["accuracy"] == 0.3
    assert found["f1_score"] == pytest.approx(2 / 9)
    assert metrics_of(warehouse)["all"]["roc_auc"]["reason"] == "no scores"


def test_calibration_ratio_is_the_sum_of_predictions_over_that_of_labels(run, warehouse):
    run({"score": [0.2, 0.4, 0.6], "label": [0, 1, 1]})
    assert metrics_of(warehouse)["all"]["calibration_ratio"]["value"] == pytest.approx(0.6)


def test_the_threshold_belongs_to_the_positives(run, warehouse):
    run({"score": [0.3, 0.2999, 0.31], "label": [True, True, False]}, threshold=0.3)
    found = metrics_of(warehouse)["all"]
    assert found["true_positives"]["value"] == 1
    assert found["false_positives"]["value"] == 1


def test_a_certain_and_wrong_score_is_clipped(run, warehouse):
    run({"score": [0.0, 1.0], "label": [True, False]})
    assert metrics_of(warehouse)["all"]["log_loss"]["value"] == pytest.approx(-np.log(1e-15))


def test_calibration_bins_hold_the_mean_score_and_label(run, warehouse):
    rows = {"score": [0.0, 0.05, 0.1, 1.0, 0.95], "label": [0, 1, 0, 1, 1], "group": ["a"] * 3 + ["b"] * 2}
    run(rows, slices=["group"], min_slice_size=0)
    found = warehouse.fetch(
        "select slice_value, bin, n, mean_prediction, mean_label "
        "from wml.calibration order by slice_key desc, slice_value, bin"
    ).to_pylist()
    want = [("all", 1, 2, 0.025, 0.5), ("all", 2, 1, 0.1, 0.0), ("all", 10, 2, 0.975, 1.0)]
    want += [("a", 1, 2, 0.025, 0.5), ("a", 2, 1, 0.1, 0.0), ("b", 10, 2, 0.975, 1.0)]
    assert [tuple(row.values()) for row in found] == want


@pytest.mark.parametrize(("label", "reason"), [(True, "one class"), (None, "no labels known at as_of")])
def test_what_cannot_be_computed_is_null_and_says_why(run, warehouse, label, reason):
    rows = {"score": [0.2, 0.6, 0.9], "label": pa.array([label] * 3, pa.bool_())}
    (window,) = run(rows)
    row = metrics_of(warehouse)["all"]["roc_auc"]
    assert row["value"] is None
    assert row["ci_lower"] is None
    assert not row["is_suppressed"]
    assert reason in row["reason"]
    assert window.metrics["roc_auc"] is None
    assert window.n_labelled == (0 if label is None else 3)
