"""Disparities to a reference group, and comparisons within a control, against plain Python."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import Any

import fairlearn.metrics as fl
import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as sk
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportions_ztest

from .conftest import metrics_of, table
from .test_binary import binary_rows

Z = stats.norm.ppf(0.975)


def disparities_of(warehouse, slice_key: str, metric: str) -> dict[str, dict[str, Any]]:
    return {
        row["slice_value"]: row
        for row in table(warehouse, "latest_disparities")
        if row["slice_key"] == slice_key and row["metric"] == metric
    }


def rates_by(rows: dict[str, Any], column: str) -> dict[str, dict[str, tuple[int, int]]]:
    """Numerator and denominator of each rate, by plain counting."""
    counts: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for score, label, group in zip(rows["score"], rows["label"], rows[column], strict=True):
        selected = bool(score >= 0.5)
        outcome = ("t" if selected == label else "f") + ("p" if selected else "n")
        counts["(null)" if group is None else str(group)][outcome] += 1
    return {
        group: {
            "selection_rate": (c["tp"] + c["fp"], sum(c.values())),
            "recall": (c["tp"], c["tp"] + c["fn"]),
            "false_positive_rate": (c["fp"], c["fp"] + c["tn"]),
            "false_discovery_rate": (c["fp"], c["fp"] + c["tp"]),
            "false_omission_rate": (c["fn"], c["fn"] + c["tn"]),
        }
        for group, c in counts.items()
    }


@pytest.mark.parametrize("reference", ["majority", "best", {"origin": "JFK"}])
def test_disparities_are_those_of_plain_counting(run, warehouse, reference):
    rows = binary_rows(600, seed=21)
    run(rows, slices=["origin"], min_slice_size=0, reference=reference)
    want = rates_by(rows, "origin")
    sizes = {group: rates["selection_rate"][1] for group, rates in want.items()}
    for metric in want["JFK"]:
        found = disparities_of(warehouse, "origin", metric)
        assert set(found) == set(want)
        rate = {group: rates[metric][0] / rates[metric][1] for group, rates in want.items()}
        high = metric in ("selection_rate", "recall")
        against = {
            "majority": max(sizes, key=lambda group: sizes[group]),
            "best": (max if high else min)(rate, key=lambda group: rate[group]),
        }.get(str(reference), "JFK")
        k, n = want[against][metric]
        for group, row in found.items():
            a, b = want[group][metric]
            assert row["reference_slice"] == against
            assert row["n"] == sizes[group]
            assert row["disparity"] == pytest.approx(rate[group] / rate[against])
            assert row["difference"] == pytest.approx(rate[group] - rate[against])
            assert row["ratio_to_highest"] == pytest.approx(rate[group] / max(rate.values()))
            assert rate[row["highest_slice"]] == max(rate.values())
            if group == against:
                assert (row["disparity"], row["ci_lower"], row["p_value"]) == (1.0, None, None)
                continue
            width = Z * math.sqrt(1 / a - 1 / b + 1 / k - 1 / n)
            interval = (rate[group] / rate[against] * math.exp(-width), rate[group] / rate[against] * math.exp(width))
            assert (row["ci_lower"], row["ci_upper"]) == pytest.approx(interval)
            times = 3 if reference == "best" else 1
            p_value = min(1.0, times * proportions_ztest([a, k], [b, n])[1])
            assert row["p_value"] == pytest.approx(p_value, abs=1e-12)
    rows_tested = [row for row in table(warehouse, "disparities") if row["p_value"] is not None]
    holm = multipletests([row["p_value"] for row in rows_tested], method="holm")[1]
    assert [row["p_adjusted"] for row in rows_tested] == pytest.approx(list(holm), abs=1e-12)
    assert {row["n_tests"] for row in rows_tested} == {len(rows_tested)}


def test_impact_ratios_count_those_whose_category_is_missing(run, warehouse):
    """Selected 48 of 80, 12 of 24 and 9 of 10: impact ratios 0.667, 0.556 and 1."""
    sizes = {("f", "x"): (48, 80), ("m", "x"): (12, 24), ("m", None): (9, 10)}
    rows: dict[str, list[Any]] = {"prediction": [], "label": [], "sex": [], "race": []}
    for (sex, race), (selected, n) in sizes.items():
        rows["prediction"] += [True] * selected + [False] * (n - selected)
        rows["label"] += [True] * n
        rows["sex"] += [sex] * n
        rows["race"] += [race] * n
    run(rows, slices=[["sex", "race"]], min_slice_size=0)
    found = disparities_of(warehouse, "sex, race", "selection_rate")
    got = {group: (row["n"], round(row["ratio_to_highest"], 3), row["highest_slice"]) for group, row in found.items()}
    assert got == {
        "f, x": (80, 0.667, "m, (null)"),
        "m, x": (24, 0.556, "m, (null)"),
        "m, (null)": (10, 1.0, "m, (null)"),
    }


def test_a_hidden_group_keeps_its_row_and_shows_nothing(run, warehouse):
    rows = binary_rows(300, seed=22)
    rows["group"] = ["a"] * 200 + ["b"] * 90 + ["tiny"] * 5 + ["small"] * 5
    run(rows, slices=["group"], reference={"group": "tiny"})
    found = disparities_of(warehouse, "group", "selection_rate")
    assert found["tiny"]["is_suppressed"]
    assert (found["tiny"]["value"], found["tiny"]["disparity"], found["tiny"]["ratio_to_highest"]) == (None, None, None)
    assert found["a"]["value"] is not None
    assert (found["a"]["disparity"], found["a"]["difference"]) == (None, None)
    assert found["a"]["reason"] == "the reference group has no value that is shown"
    run(rows, slices=["group"], reference={"group": "nobody"}, definition_hash="d2")
    assert (
        disparities_of(warehouse, "group", "recall")["a"]["reason"] == "the reference group has no value that is shown"
    )


def test_what_is_compared_within_a_control_is_fairlearns(run, warehouse):
    rows = binary_rows(900, seed=23)
    run(rows, slices=["origin"], control=["carrier"], min_slice_size=0)
    y, p = np.array(rows["label"]), rows["score"] >= 0.5
    functions = {"selection_rate": fl.selection_rate, "recall": sk.recall_score, "accuracy": sk.accuracy_score}
    frame = fl.MetricFrame(
        metrics=functions,
        y_true=y,
        y_pred=p,
        sensitive_features=[x or "(null)" for x in rows["origin"]],
        control_features=[str(x) for x in rows["carrier"]],
    )
    found = [row for row in table(warehouse, "latest_fairness") if row["control_key"] == "carrier"]
    assert {row["slice_key"] for row in found} == {"origin"}
    by_place = {(row["control_value"], row["metric"], row["aggregate"]): row for row in found}
    sizes = {str(c): rows["carrier"].count(c) for c in (1, 2, 3)}
    for name in functions:
        for aggregate, method, way in (
            ("difference", "difference", "between_groups"),
            ("ratio", "ratio", "between_groups"),
            ("difference_to_overall", "difference", "to_overall"),
            ("ratio_to_overall", "ratio", "to_overall"),
        ):
            want = getattr(frame, method)(way)[name]
            for value in ("1", "2", "3"):
                assert by_place[value, name, aggregate]["value"] == pytest.approx(want[value], abs=1e-9)
                assert by_place[value, name, aggregate]["n_groups"] == 4
            if name != "recall":
                pooled = sum(want[value] * n for value, n in sizes.items()) / len(y)
                assert by_place[None, name, aggregate]["value"] == pytest.approx(pooled, abs=1e-9)
        strata = [by_place[value, name, "difference"] for value in ("1", "2", "3")]
        pooled_row = by_place[None, name, "difference"]
        assert pooled_row["n_groups"] == 3
        assert pooled_row["p_value"] == pytest.approx(min(1.0, 3 * min(row["p_value"] for row in strata)))
        assert pooled_row["p_adjusted"] == min(row["p_adjusted"] for row in strata)
    # What is compared is shown: the strata and the slices within them are slices of their own.
    assert set(metrics_of(warehouse, "carrier")) == {"1", "2", "3"}
    assert len(metrics_of(warehouse, "origin, carrier")) == 12
    uncontrolled = {row["slice_key"] for row in table(warehouse, "latest_fairness") if row["control_key"] is None}
    assert uncontrolled == {"origin"}
    # Disparities are the same, with and without.
    names = ("slice_key", "slice_value", "metric", "reference_slice", "disparity", "p_adjusted", "n_tests")
    within = [tuple(row[name] for name in names) for row in table(warehouse, "latest_disparities")]
    run(rows, slices=["origin"], min_slice_size=0, definition_hash="d2")
    without = [tuple(row[name] for name in names) for row in table(warehouse, "latest_disparities")]
    for one, other in zip(within, without, strict=True):
        assert one[:4] == other[:4]
        assert one[4:] == pytest.approx(other[4:])


def test_a_slice_that_has_the_control_is_compared_by_its_other_columns(run, warehouse):
    rows = binary_rows(600, seed=24)
    run(rows, slices=["carrier", ["carrier", "origin"]], control=["carrier"], min_slice_size=0)
    found = [
        row for row in table(warehouse, "latest_fairness") if row["control_value"] == "1" and row["metric"] == "recall"
    ]
    assert {row["slice_key"] for row in found} == {"carrier, origin"}
    shown = metrics_of(warehouse, "carrier, origin")
    values = [metrics["recall"]["value"] for group, metrics in shown.items() if group.startswith("1, ")]
    difference = next(row["value"] for row in found if row["aggregate"] == "difference")
    assert difference == pytest.approx(max(values) - min(values))
