"""Differences and ratios between slices, against Fairlearn, statsmodels and scipy."""

from __future__ import annotations

import fairlearn.metrics as fl
import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as sk
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import confint_proportions_2indep, proportions_ztest

from warehouse_ml.evaluation.fairness import CRITERIA
from warehouse_ml.templates import render

from .conftest import fairness_of, metrics_of, table
from .test_binary import binary_rows

FUNCTIONS = {
    "selection_rate": fl.selection_rate,
    "recall": sk.recall_score,
    "false_positive_rate": fl.false_positive_rate,
    "false_negative_rate": fl.false_negative_rate,
    "precision": sk.precision_score,
    "accuracy": sk.accuracy_score,
}


@pytest.mark.parametrize("weighted", [False, True])
def test_differences_and_ratios_are_fairlearns(run, warehouse, weighted):
    rows = binary_rows(800, seed=11, weighted=weighted)
    run(rows, slices=["origin", ["origin", "carrier"]], min_slice_size=0)
    y, p = np.array(rows["label"]), rows["score"] >= 0.5
    origin = [x or "(null)" for x in rows["origin"]]
    pairs = [f"{a}, {b}" for a, b in zip(origin, rows["carrier"], strict=True)]
    weights = {"sample_weight": rows["sample_weight"]} if weighted else {}
    for key, groups in {"origin": origin, "origin, carrier": pairs}.items():
        frame = fl.MetricFrame(
            metrics=FUNCTIONS,
            y_true=y,
            y_pred=p,
            sensitive_features=groups,
            sample_params=dict.fromkeys(FUNCTIONS, weights),
        )
        found = fairness_of(warehouse, key)
        for name in FUNCTIONS:
            want = {
                "difference": frame.difference("between_groups")[name],
                "ratio": frame.ratio("between_groups")[name],
                "difference_to_overall": frame.difference("to_overall")[name],
                "ratio_to_overall": frame.ratio("to_overall")[name],
            }
            got = {aggregate: found[name, aggregate]["value"] for aggregate in want}
            assert got == pytest.approx(want, abs=1e-9)
            assert found[name, "difference"]["lowest_slice"] == frame.by_group[name].idxmin()
            assert found[name, "difference"]["highest_slice"] == frame.by_group[name].idxmax()
        named = {"demographic_parity": "demographic_parity", "equalized_odds": "equalized_odds"}
        named["equal_opportunity"] = "equal_opportunity"
        for metric, prefix in named.items():
            for aggregate in ("difference", "ratio"):
                function = getattr(fl, f"{prefix}_{aggregate}")
                want_value = function(y, p, sensitive_features=groups, **weights)
                assert found[metric, aggregate]["value"] == pytest.approx(want_value, abs=1e-9)
                want_value = function(y, p, sensitive_features=groups, method="to_overall", **weights)
                assert found[metric, f"{aggregate}_to_overall"]["value"] == pytest.approx(want_value, abs=1e-9)


def test_the_eighteen_rows_of_fairlearns_user_guide(run, warehouse):
    rows = {
        "label": [int(x) for x in "011110101000111111"],
        "prediction": [int(x) for x in "001011100111100110"],
        "group": list("bbabbcccaacabccbcc"),
    }
    run(rows, slices=["group"], min_slice_size=0)
    found = fairness_of(warehouse, "group")
    assert found["demographic_parity", "difference"]["value"] == pytest.approx(0.25)
    assert found["demographic_parity", "ratio"]["value"] == pytest.approx(2 / 3)
    assert found["equalized_odds", "difference"]["value"] == pytest.approx(1.0)
    assert found["equalized_odds", "ratio"]["value"] == pytest.approx(0.0)


def test_the_gap_of_two_slices_has_newcombes_interval_and_a_pooled_test(run, warehouse):
    rows = binary_rows(500, seed=12)
    run(rows, slices=["origin"], min_slice_size=0)
    by_slice = metrics_of(warehouse, "origin")
    row = fairness_of(warehouse, "origin")["recall", "difference"]
    low, high = by_slice[row["lowest_slice"]], by_slice[row["highest_slice"]]
    n_pairs = row["n_groups"] * (row["n_groups"] - 1) / 2
    assert n_pairs == 6
    assert row["ci_method"] == "newcombe"
    counts = [side["true_positives"]["value"] for side in (high, low)]
    sizes = [side["recall"]["denominator"] for side in (high, low)]
    want = confint_proportions_2indep(counts[0], sizes[0], counts[1], sizes[1], method="newcomb")
    assert (row["ci_lower"], row["ci_upper"]) == pytest.approx(want, abs=1e-9)
    assert row["p_value"] == pytest.approx(min(1.0, n_pairs * proportions_ztest(counts, sizes)[1]), abs=1e-12)


def test_tests_are_adjusted_together_by_holm(run, warehouse):
    run(binary_rows(500, seed=13), slices=["origin", "carrier"], min_slice_size=0)
    named = {*CRITERIA, "equalized_odds"}
    rows = [row for row in table(warehouse, "fairness") if row["metric"] not in named and row["p_value"] is not None]
    # Nine metrics have a variance: all but balanced accuracy and F1.
    assert {row["n_tests"] for row in rows} == {len(rows)}
    assert len(rows) >= 18
    want = multipletests([row["p_value"] for row in rows], method="holm")[1]
    assert [row["p_adjusted"] for row in rows] == pytest.approx(list(want), abs=1e-12)


def test_small_slices_take_no_part_and_one_slice_is_no_comparison(run, warehouse):
    rows = {"score": [0.9] * 40 + [0.1] * 40 + [0.5] * 10, "label": [True, False] * 40 + [True] * 10}
    rows["group"] = ["a"] * 40 + ["b"] * 40 + ["tiny"] * 5 + ["small"] * 5
    rows["side"] = ["left"] * 80 + ["right"] * 10
    run(rows, slices=["group"])
    found = fairness_of(warehouse, "group")
    assert found["selection_rate", "difference"]["value"] == 1.0
    assert {row["highest_slice"] for row in found.values()} <= {"a", "b"}
    assert ("recall", "difference") not in found
    run(rows, slices=["side"], definition_hash="d2")
    assert fairness_of(warehouse, "side") == {}


def test_regression_compares_errors(run, warehouse):
    rows = {"score": [1.0, 2.0, 3.0, 4.0], "label": [1.5, 2.5, 2.0, 3.0], "group": ["a", "a", "b", "b"]}
    run(rows, task="regression", slices=["group"], min_slice_size=0)
    found = fairness_of(warehouse, "group")
    assert found["mean_error", "difference"]["value"] == 1.5
    assert found["mean_absolute_error", "ratio"]["value"] == 0.5
    assert ("mean_error", "ratio") not in found


def test_the_normal_distribution_is_scipys(warehouse):
    sql = render(
        "select z, {{ normal_cdf('z') }} as p from (select (i - 4200) / 1e2 as z from range(8401) as r(i))",
        "duckdb",
        {},
        place="test",
    )
    found = warehouse.fetch(sql)
    z = found["z"].to_numpy()
    assert np.abs(found["p"].to_numpy() - stats.norm.cdf(z)).max() < 1e-12
