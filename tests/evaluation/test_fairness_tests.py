"""Intervals and tests of what is compared between slices, against plain formulas and by simulation."""

from __future__ import annotations

import datetime as dt
import math
from typing import Any

import fairlearn.metrics as fl
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as sk
from statsmodels.stats.proportion import confint_proportions_2indep

from .conftest import FIRST_DAY, fairness_of, metrics_of, table
from .test_binary import binary_rows

Z = stats.norm.ppf(0.975)


def test_every_difference_and_ratio_of_rates_has_an_interval(run, warehouse):
    rows = binary_rows(700, seed=31)
    run(rows, slices=["origin"], min_slice_size=0)
    groups, overall = metrics_of(warehouse, "origin"), metrics_of(warehouse)["all"]
    found = fairness_of(warehouse, "origin")
    for metric in ("selection_rate", "recall", "false_positive_rate", "precision", "accuracy", "false_negative_rate"):
        counted = {
            g: (round(m[metric]["value"] * m[metric]["denominator"]), int(m[metric]["denominator"]))
            for g, m in groups.items()
        }
        whole = (round(overall[metric]["value"] * overall[metric]["denominator"]), int(overall[metric]["denominator"]))
        row = found[metric, "ratio"]
        (a, b), (k, n) = counted[row["lowest_slice"]], counted[row["highest_slice"]]
        width = Z * math.sqrt(1 / a - 1 / b + 1 / k - 1 / n)
        want = (row["value"] * math.exp(-width), row["value"] * math.exp(width))
        assert (row["ci_method"], row["ci_lower"], row["ci_upper"]) == (
            "log_delta",
            pytest.approx(want[0]),
            pytest.approx(want[1]),
        )
        # A group against the rest, scaled by the rest's share of the whole.
        row = found[metric, "difference_to_overall"]
        a, b = counted[row["farthest_slice"]]
        k, n = whole[0] - a, whole[1] - b
        assert row["value"] == max(abs(m[metric]["value"] - overall[metric]["value"]) for m in groups.values())
        pair = (a, b, k, n) if a / b > k / n else (k, n, a, b)
        interval = confint_proportions_2indep(*pair, method="newcomb")
        scaled = [x * n / whole[1] for x in interval]
        assert row["ci_method"] == "newcombe_rest"
        assert [row["ci_lower"], row["ci_upper"]] == pytest.approx(scaled, abs=1e-9)
        # The delta method in the two independent counts.
        row = found[metric, "ratio_to_overall"]
        a, b = counted[row["farthest_slice"]]
        k, n = whole[0] - a, whole[1] - b
        spread = (1 / a - 1 / (a + k)) ** 2 * a * (1 - a / b) + (1 / (a + k)) ** 2 * k * (1 - k / n)
        width = Z * math.sqrt(spread)
        want = (row["value"] * math.exp(-width), row["value"] * math.exp(width))
        assert row["ci_method"] == "log_delta_rest"
        assert (row["ci_lower"], row["ci_upper"]) == pytest.approx(want)


def test_means_are_compared_by_their_variances(run, warehouse):
    rng = np.random.default_rng(32)
    group = rng.choice(["a", "b", "c"], 300, p=[0.5, 0.3, 0.2])
    label = rng.normal(10, 2, 300)
    rows = {"score": label + rng.normal(0.3, 1, 300) * (1 + (group == "b")), "label": label, "group": group.tolist()}
    run(rows, task="regression", slices=["group"], min_slice_size=0)
    found = fairness_of(warehouse, "group")
    errors = {"mean_error": rows["score"] - label, "mean_absolute_error": np.abs(rows["score"] - label)}
    for metric, values in errors.items():
        row = found[metric, "difference"]
        low, high = values[group == row["lowest_slice"]], values[group == row["highest_slice"]]
        half = Z * math.sqrt(low.var(ddof=1) / len(low) + high.var(ddof=1) / len(high))
        assert (row["ci_lower"], row["ci_upper"]) == pytest.approx((row["value"] - half, row["value"] + half))
        welch = stats.ttest_ind(high, low, equal_var=False).pvalue
        assert row["p_value"] == pytest.approx(min(1.0, 3 * welch), rel=0.01, abs=1e-12)
        row = found[metric, "difference_to_overall"]
        own, rest = values[group == row["farthest_slice"]], values[group != row["farthest_slice"]]
        half = Z * math.sqrt(own.var(ddof=1) / len(own) + rest.var(ddof=1) / len(rest)) * len(rest) / 300
        assert (row["ci_lower"], row["ci_upper"]) == pytest.approx((row["value"] - half, row["value"] + half))
    row = found["root_mean_squared_error", "difference"]
    assert row["ci_lower"] < row["value"] < row["ci_upper"]
    assert found["root_mean_squared_error", "difference_to_overall"]["ci_method"] is None


def test_a_ratio_of_nothing_has_no_interval(run, warehouse):
    rows = {"prediction": [0] * 20 + [1] * 20, "label": [0, 1] * 20, "group": ["a"] * 20 + ["b"] * 20}
    run(rows, slices=["group"], min_slice_size=0)
    row = fairness_of(warehouse, "group")["selection_rate", "ratio"]
    assert (row["value"], row["ci_lower"], row["ci_upper"], row["ci_method"]) == (0.0, None, None, None)


def test_many_classes_compare_accuracy_and_recall(run, warehouse):
    rng = np.random.default_rng(33)
    label, group = rng.choice(list("xyz"), 400), rng.choice(list("ab"), 400)
    prediction = np.where(rng.random(400) < 0.6, label, rng.choice(list("xyz"), 400))
    run({"prediction": prediction, "label": label, "group": group}, task="multiclass", slices=["group"])
    found = fairness_of(warehouse, "group")
    frame = fl.MetricFrame(
        metrics={"accuracy": sk.accuracy_score, "recall_macro": lambda y, p: sk.recall_score(y, p, average="macro")},
        y_true=label,
        y_pred=prediction,
        sensitive_features=group,
    )
    for name in ("accuracy", "recall_macro"):
        assert found[name, "difference"]["value"] == pytest.approx(frame.difference()[name])
        assert found[name, "ratio_to_overall"]["value"] == pytest.approx(frame.ratio("to_overall")[name])
    assert found["accuracy", "difference"]["ci_method"] == "newcombe"


def test_equalized_odds_takes_both_tests(run, warehouse):
    run(binary_rows(600, seed=34), slices=["origin"], min_slice_size=0)
    found = fairness_of(warehouse, "origin")
    odds, both = (
        found["equalized_odds", "difference"],
        [found[m, "difference"] for m in ("recall", "false_positive_rate")],
    )
    worse = max(both, key=lambda row: row["value"])
    assert [odds[x] for x in ("value", "ci_lower", "ci_upper", "lowest_slice")] == [
        worse[x] for x in ("value", "ci_lower", "ci_upper", "lowest_slice")
    ]
    assert odds["p_value"] == pytest.approx(min(1.0, 2 * min(row["p_value"] for row in both)))
    assert odds["p_adjusted"] == min(row["p_adjusted"] for row in both)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.lists(st.tuples(st.booleans(), st.booleans(), st.sampled_from("abc")), min_size=2, max_size=40))
def test_any_rows_agree_with_fairlearn(run, warehouse, data):
    label, prediction, group = (list(x) for x in zip(*data, strict=True))
    run(
        {"prediction": prediction, "label": label, "group": group},
        slices=["group"],
        min_slice_size=0,
        restate=True,
        definition_hash=str(data),
    )
    found = fairness_of(warehouse, "group")
    if len(set(group)) < 2:
        assert found == {}
        return
    frame = fl.MetricFrame(
        metrics={"selection_rate": fl.selection_rate, "accuracy": sk.accuracy_score},
        y_true=label,
        y_pred=prediction,
        sensitive_features=group,
    )
    for name in ("selection_rate", "accuracy"):
        for way, suffix in (("between_groups", ""), ("to_overall", "_to_overall")):
            assert found[name, "difference" + suffix]["value"] == pytest.approx(frame.difference(way)[name], abs=1e-12)
            # 0 of 0 is no ratio; Fairlearn may call it nan.
            ratio = frame.ratio(way)[name]
            got = found[name, "ratio" + suffix]["value"]
            assert got is None if math.isnan(ratio) else got == pytest.approx(ratio, abs=1e-12)


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_equal_groups_are_seldom_called_different(run, warehouse, task):
    """The lowest and the highest of many equal groups differ; that they were picked must not count against them."""
    n_units, n_rows = 250, 240
    rng = np.random.default_rng(35)
    n = n_units * n_rows
    rows: dict[str, Any] = {
        "model_version": np.repeat(np.arange(n_units), n_rows),
        "requested_at": np.full(n, np.datetime64(FIRST_DAY.replace(tzinfo=None), "us")),
        "label": (rng.random(n) < 0.3).astype(float) if task == "binary" else rng.normal(0, 1, n),
        "prediction": (rng.random(n) < 0.4).astype(float) if task == "binary" else rng.exponential(1, n),
        "few": rng.choice(list("ab"), n).tolist(),
        "more": rng.choice(list("abcdefgh"), n).tolist(),
    }
    run(rows, task=task, slices=["few", "more"], min_slice_size=0, as_of=FIRST_DAY + dt.timedelta(days=1))
    tested = [row for row in table(warehouse, "fairness") if row["p_value"] is not None]
    for metric in (
        ("selection_rate", "accuracy", "recall") if task == "binary" else ("mean_error", "mean_absolute_error")
    ):
        for key in ("few", "more"):
            found = np.array([row["p_value"] for row in tested if (row["metric"], row["slice_key"]) == (metric, key)])
            assert len(found) == n_units
            # Three standard errors of 5 % above it.
            assert (found <= 0.05).mean() <= 0.092
        # The plain test of the two extremes of eight calls them different often.
        assert (found / 28 <= 0.05).mean() > 0.3
    family = {row["version"]: 1.0 for row in tested}
    for row in tested:
        family[row["version"]] = min(family[row["version"]], row["p_adjusted"])
    assert np.mean([p <= 0.05 for p in family.values()]) <= 0.092
