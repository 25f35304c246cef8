"""Two versions on the same requests, against statsmodels, scikit-learn and sums written out."""

from __future__ import annotations

import datetime as dt
import math
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn import metrics
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint
from statsmodels.stats.weightstats import DescrStatsW

from .conftest import AS_OF, FIRST_DAY, table
from .test_run import weekly_rows

SHARES = ("accuracy", "selection_rate", "recall", "false_positive_rate")


def two_versions(n: int, seed: int, *, changed: float = 1.0, decimals: int = 2) -> dict[str, Any]:
    """Return n requests answered by versions 1 and 2, with ties between scores; some are answered alike."""
    rng = np.random.default_rng(seed)
    label = rng.random(n) < 0.35
    first = np.round(np.clip(0.25 * label + 0.6 * rng.random(n), 0, 1), decimals)
    other = np.round(np.clip(0.3 * label + 0.6 * rng.random(n), 0, 1), decimals)
    second = np.where(rng.random(n) < changed, other, first)
    origin = rng.choice(["EWR", "JFK"], n).tolist()
    return {
        "request_id": [f"q{i:05d}" for i in range(n)] * 2,
        "requested_at": [FIRST_DAY] * (2 * n),
        "model_version": [1] * n + [2] * n,
        "score": [*first.tolist(), *second.tolist()],
        "label": label.tolist() * 2,
        "origin": origin * 2,
    }


def sides(rows: dict[str, Any], name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return a column of version 2 and of version 1."""
    values = np.array(rows[name])
    return values[len(values) // 2 :], values[: len(values) // 2]


def compared(warehouse: Any, slice_value: str = "all") -> dict[str, dict[str, Any]]:
    rows = [row for row in table(warehouse, "latest_comparisons") if row["slice_value"] == slice_value]
    return {row["metric"]: row for row in rows}


def newcombe(both: int, only: int, other_only: int, neither: int) -> tuple[float, float]:
    """Return the interval of the difference of two paired proportions: Newcombe (1998), method 10."""
    n = both + only + other_only + neither
    p1, p2 = (both + only) / n, (both + other_only) / n
    l1, u1 = proportion_confint(both + only, n, method="wilson")
    l2, u2 = proportion_confint(both + other_only, n, method="wilson")
    product = (both + only) * (other_only + neither) * (both + other_only) * (only + neither)
    cross = both * neither - only * other_only
    corrected = max(cross - n / 2, 0) if cross > 0 else cross
    phi = corrected / math.sqrt(product) if product else 0
    below = math.sqrt((p1 - l1) ** 2 - 2 * phi * (p1 - l1) * (u2 - p2) + (u2 - p2) ** 2)
    above = math.sqrt((u1 - p1) ** 2 - 2 * phi * (u1 - p1) * (p2 - l2) + (p2 - l2) ** 2)
    return p1 - p2 - below, p1 - p2 + above


def events(rows: dict[str, Any], metric: str) -> tuple[np.ndarray, np.ndarray]:
    """Return whether the event befell version 2 and version 1, for the requests that the metric is of."""
    (new, old), label = (side >= 0.5 for side in sides(rows, "score")), sides(rows, "label")[0]
    among = {"recall": label, "false_positive_rate": ~label}.get(metric, np.ones(len(label), bool))
    if metric == "accuracy":
        new, old = new == label, old == label
    return new[among], old[among]


@pytest.mark.parametrize(("n", "changed"), [(400, 1.0), (150, 0.15), (60, 0.0)])
@pytest.mark.parametrize("metric", SHARES)
def test_shares_are_those_of_mcnemar_and_newcombe(run, warehouse, n, changed, metric):
    rows = two_versions(n, seed=n, changed=changed)
    run(rows, min_slice_size=0)
    found = compared(warehouse)[metric]
    new, old = events(rows, metric)
    both, only, other_only = int((new & old).sum()), int((new & ~old).sum()), int((~new & old).sum())
    neither = len(new) - both - only - other_only
    assert (found["version"], found["other_version"], found["n_pairs"]) == (2, 1, len(new))
    assert found["value"] == pytest.approx(new.mean(), abs=1e-12)
    assert found["other_value"] == pytest.approx(old.mean(), abs=1e-12)
    assert found["difference"] == pytest.approx(new.mean() - old.mean(), abs=1e-12)
    is_exact = only + other_only <= 25
    test = mcnemar([[both, only], [other_only, neither]], exact=is_exact, correction=False)
    assert found["test"] == ("mcnemar_exact" if is_exact else "mcnemar")
    assert found["p_value"] == pytest.approx(1.0 if only + other_only == 0 else test.pvalue, rel=1e-9)
    assert (found["ci_lower"], found["ci_upper"]) == pytest.approx(newcombe(both, only, other_only, neither), abs=1e-12)
    assert found["ci_method"] == "newcombe_paired"


def test_both_kinds_of_mcnemars_test_are_covered(run, warehouse):
    run(two_versions(150, seed=150, changed=0.15))
    assert {row["test"] for name, row in compared(warehouse).items() if name in SHARES} == {"mcnemar_exact"}
    run(two_versions(400, seed=400), as_of=AS_OF + dt.timedelta(days=1))
    assert {row["test"] for name, row in compared(warehouse).items() if name in SHARES} == {"mcnemar"}


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.booleans()), min_size=1, max_size=40))
def test_flips_are_counted_and_the_exact_test_is_the_binomial(run, warehouse, outcomes):
    n = len(outcomes)
    new, old, label = (list(values) for values in zip(*outcomes, strict=True))
    rows = {
        "request_id": [f"q{i}" for i in range(n)] * 2,
        "requested_at": [FIRST_DAY] * (2 * n),
        "model_version": [1] * n + [2] * n,
        "prediction": old + new,
        "label": label * 2,
    }
    run(rows, restate=True, min_slice_size=0)
    found = compared(warehouse)["accuracy"]
    counts = Counter((a == y, b == y) for a, b, y in outcomes)
    gained, lost = counts[True, False], counts[False, True]
    assert (found["n_pairs"], found["n_gained"], found["n_lost"]) == (n, gained, lost)
    assert found["n_flips"] == sum(a != b for a, b, _ in outcomes)
    assert -1 <= found["ci_lower"] <= found["difference"] <= found["ci_upper"] <= 1
    if gained + lost <= 25:
        expected = min(
            1.0, 2 * sum(math.comb(gained + lost, k) for k in range(min(gained, lost) + 1)) / 2 ** (gained + lost)
        )
        assert found["p_value"] == pytest.approx(expected, abs=1e-15)


def losses(rows: dict[str, Any], metric: str) -> tuple[np.ndarray, np.ndarray]:
    scores, label = sides(rows, "score"), sides(rows, "label")[0].astype(float)
    of = {
        "brier_score": lambda s: (s - label) ** 2,
        "log_loss": lambda s: -np.log(np.maximum(1e-15, np.where(label == 1, s, 1 - s))),
        "mean_prediction": lambda s: s,
        "mean_error": lambda s: s - label,
        "mean_absolute_error": lambda s: abs(s - label),
        "mean_squared_error": lambda s: (s - label) ** 2,
    }[metric]
    return of(scores[0]), of(scores[1])


@pytest.mark.parametrize(
    ("task", "metric"),
    [("binary", name) for name in ("brier_score", "log_loss", "mean_prediction")]
    + [("regression", name) for name in ("mean_error", "mean_absolute_error", "mean_squared_error")],
)
def test_means_are_those_of_the_paired_normal(run, warehouse, task, metric):
    rows = two_versions(300, seed=3)
    rows["score"][5], rows["score"][305] = 0.0, 1.0  # a logarithm of 0
    if task == "regression":
        rows["label"] = [float(value) for value in rows["label"]]
    run(rows, task=task)
    found = compared(warehouse)[metric]
    new, old = losses(rows, metric)
    difference = DescrStatsW(new - old)
    assert found["value"] == pytest.approx(new.mean(), rel=1e-12)
    assert found["other_value"] == pytest.approx(old.mean(), rel=1e-12)
    assert (found["ci_lower"], found["ci_upper"]) == pytest.approx(difference.zconfint_mean(), rel=1e-9)
    assert found["p_value"] == pytest.approx(difference.ztest_mean()[1], rel=1e-9)
    assert (found["ci_method"], found["test"], found["n_pairs"]) == ("normal", "paired_z", 300)
    assert (found["n_flips"] is None) == (task == "regression")


def delong(label: np.ndarray, new: np.ndarray, old: np.ndarray) -> float:
    """Return the variance of the difference of two paired areas, by every pair of a positive and a negative."""
    beaten = [
        np.where(s[label][:, None] > s[~label][None, :], 1.0, 0.5 * (s[label][:, None] == s[~label][None, :]))
        for s in (new, old)
    ]
    of_positives = beaten[0].mean(axis=1) - beaten[1].mean(axis=1)
    of_negatives = beaten[0].mean(axis=0) - beaten[1].mean(axis=0)
    return float(of_positives.var(ddof=1) / label.sum() + of_negatives.var(ddof=1) / (~label).sum())


def test_roc_auc_is_delongs_paired_one(run, warehouse):
    from scipy.stats import norm

    rows = two_versions(250, seed=4, decimals=1)  # one decimal: most scores are tied
    run(rows, slices=["origin"])
    (new, old), label, origin = sides(rows, "score"), sides(rows, "label")[0], sides(rows, "origin")[0]
    for value, among in (("all", origin != ""), ("EWR", origin == "EWR"), ("JFK", origin == "JFK")):
        found = compared(warehouse, value)["roc_auc"]
        areas = [metrics.roc_auc_score(label[among], side[among]) for side in (new, old)]
        deviation = math.sqrt(delong(label[among], new[among], old[among]))
        assert [found["value"], found["other_value"]] == pytest.approx(areas, abs=1e-12)
        half = norm.ppf(0.975) * deviation
        expected = (areas[0] - areas[1] - half, areas[0] - areas[1] + half)
        assert (found["ci_lower"], found["ci_upper"]) == pytest.approx(expected, abs=1e-12)
        assert found["p_value"] == pytest.approx(2 * norm.sf(abs(areas[0] - areas[1]) / deviation), rel=1e-9)


def test_precision_is_by_the_delta_method(run, warehouse):
    rows = two_versions(300, seed=5, changed=0.4)
    run(rows)
    found = compared(warehouse)["precision"]
    (new, old), label = (side >= 0.5 for side in sides(rows, "score")), sides(rows, "label")[0]
    values = [metrics.precision_score(label, side) for side in (new, old)]
    influence = new * (label - values[0]) / new.sum() - old * (label - values[1]) / old.sum()
    half = 1.959963984540054 * math.sqrt((influence**2).sum())
    assert [found["value"], found["other_value"]] == pytest.approx(values, abs=1e-12)
    assert found["ci_upper"] - found["difference"] == pytest.approx(half, rel=1e-9)
    assert found["n_pairs"] == (new | old).sum()


def draw(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return labels and what two versions that share much decide."""
    label, shared = rng.random(n) < 0.4, rng.random(n)
    new = 0.3 * label + 0.5 * shared + 0.3 * rng.random(n) > 0.6
    old = 0.2 * label + 0.5 * shared + 0.3 * rng.random(n) > 0.6
    return label, new, old


def test_the_intervals_hold_as_often_as_they_say():
    """The two formulas above, over many draws of the same two versions, against the gaps of very many requests."""
    rng = np.random.default_rng(6)
    label, new, old = draw(rng, 1_000_000)
    accuracy_gap = (new == label).mean() - (old == label).mean()
    precision_gap = label[new].mean() - label[old].mean()
    n_held = np.zeros(2)
    for _ in range(500):
        label, new, old = draw(rng, 150)
        right, was_right = new == label, old == label
        lower, upper = newcombe(
            int((right & was_right).sum()),
            int((right & ~was_right).sum()),
            int((~right & was_right).sum()),
            int((~right & ~was_right).sum()),
        )
        values = [label[side].mean() for side in (new, old)]
        influence = new * (label - values[0]) / new.sum() - old * (label - values[1]) / old.sum()
        gap = abs(values[0] - values[1] - precision_gap)
        n_held += [lower <= accuracy_gap <= upper, gap < 1.96 * math.sqrt((influence**2).sum())]
    assert ((n_held / 500 >= 0.92) & (n_held / 500 <= 0.98)).all(), n_held


def test_p_values_are_adjusted_by_holm_over_a_comparison(run, warehouse):
    run(two_versions(400, seed=8, changed=0.3), slices=["origin"])
    rows = [row for row in table(warehouse, "comparisons") if row["p_value"] is not None]
    assert len(rows) == 27
    for family in (
        [row for row in rows if (row["slice_key"] == "overall") == is_overall] for is_overall in (True, False)
    ):
        expected = multipletests([row["p_value"] for row in family], method="holm")[1]
        assert [row["p_adjusted"] for row in family] == pytest.approx(expected.tolist(), rel=1e-9, abs=1e-300)


def test_only_requests_that_both_answered_count(run, warehouse):
    rows = two_versions(100, seed=9)
    rows["request_id"][:10] = [f"only_1_{i}" for i in range(10)]
    rows["score"][110:120] = [None] * 10
    rows["label"][20:25] = rows["label"][120:125] = [None] * 5
    run(rows)
    found = compared(warehouse)["accuracy"]
    new, old = (np.array(rows["score"][start : start + 75]) >= 0.5 for start in (125, 25))
    label = np.array(rows["label"][25:100])
    assert found["n_pairs"] == 75
    assert (found["value"], found["other_value"]) == pytest.approx(((new == label).mean(), (old == label).mean()))


def test_many_classes_compare_what_was_right(run, warehouse):
    rng = np.random.default_rng(10)
    n = 120
    label, old, new = (rng.choice(["a", "b", "c"], n) for _ in range(3))
    ids = {"request_id": [f"q{i}" for i in range(n)] * 2, "requested_at": [FIRST_DAY] * (2 * n)}
    rows = {**ids, "model_version": [1] * n + [2] * n, "prediction": [*old, *new], "label": [*label, *label]}
    run(rows, task="multiclass")
    (found,) = compared(warehouse).values()
    right, was_right = new == label, old == label
    pairs = [[(right & was_right).sum(), (right & ~was_right).sum()], [(~right & was_right).sum(), 0]]
    assert (found["metric"], found["n_flips"]) == ("accuracy", (new != old).sum())
    assert (found["n_gained"], found["n_lost"]) == (pairs[0][1], pairs[1][0])
    assert found["p_value"] == pytest.approx(mcnemar(pairs, exact=False, correction=False).pvalue, rel=1e-9)


def test_equal_weights_change_no_value_and_weights_leave_roc_auc_out(run, warehouse):
    rows = two_versions(200, seed=11)
    run(rows)
    plain = compared(warehouse)
    rng = np.random.default_rng(12)
    run({**rows, "sample_weight": [3.0] * 400}, as_of=AS_OF + dt.timedelta(days=1))
    weighted = compared(warehouse)
    assert set(plain) - set(weighted) == {"roc_auc"}
    for name, row in weighted.items():
        assert (row["value"], row["n_pairs"]) == (pytest.approx(plain[name]["value"]), plain[name]["n_pairs"])
    assert {row["ci_method"] for row in weighted.values()} == {"normal"}
    weight = rng.random(200)
    run({**rows, "sample_weight": [*weight, *weight]}, as_of=AS_OF + dt.timedelta(days=2))
    found = compared(warehouse)["recall"]
    new, old = events(rows, "recall")
    among = weight[sides(rows, "label")[0]]
    assert found["value"] == pytest.approx(np.average(new, weights=among), abs=1e-12)
    change = new.astype(float) - old
    mean = np.average(change, weights=among)
    n_effective = among.sum() ** 2 / (among**2).sum()
    variance = (np.average(change**2, weights=among) - mean**2) / (n_effective - 1)
    assert found["ci_upper"] - found["difference"] == pytest.approx(1.959963984540054 * math.sqrt(variance), rel=1e-9)


def test_small_slices_are_not_shown_and_are_no_test(run, warehouse):
    rows = two_versions(100, seed=13)
    rows["origin"] = (["LGA"] * 12 + ["EWR"] * 10 + ["JFK"] * 78) * 2
    rows["label"][90:] = [False] * 10 + rows["label"][:90] + [False] * 10
    run(rows, slices=["origin"], min_slice_size=60)
    assert compared(warehouse, "LGA") == {}
    hidden = compared(warehouse, "JFK")
    assert not hidden["brier_score"]["is_suppressed"]
    # Enough rows for accuracy, but with it and the counts of labels and predictions recall could be worked out.
    for name in ("recall", "roc_auc", "accuracy"):
        row = hidden[name]
        assert (row["is_suppressed"], row["value"], row["p_value"], row["n_flips"]) == (True, None, None, None)
        assert row["reason"].endswith("< min_slice_size 60")
    assert not any(row["is_suppressed"] for row in compared(warehouse).values())


def test_one_class_alone_has_reasons(run, warehouse):
    rows = two_versions(40, seed=14)
    rows["label"] = [True] * 80
    run(rows)
    found = compared(warehouse)
    assert found["roc_auc"]["reason"] == "labels of one class only"
    assert found["false_positive_rate"]["reason"] == "denominator is 0"
    assert found["recall"]["value"] == found["accuracy"]["value"]


def test_a_window_with_one_version_compares_nothing(run, warehouse):
    run(weekly_rows(), window="week", slices=["origin"])
    assert table(warehouse, "comparisons") == []


def test_a_version_that_comes_later_is_compared_with_what_was_evaluated_before(run, warehouse):
    rows = two_versions(60, seed=15)
    first = {name: values[:60] for name, values in rows.items()}
    run(first)
    assert table(warehouse, "comparisons") == []
    (window,) = run(rows, as_of=AS_OF + dt.timedelta(days=1))
    assert window.version == 2
    before = table(warehouse, "comparisons")
    assert {
        (row["version"], row["other_version"], row["n_pairs"]) for row in before if row["metric"] == "accuracy"
    } == {(2, 1, 60)}
    assert run(rows, as_of=AS_OF + dt.timedelta(days=2)) == []
    assert table(warehouse, "comparisons") == before
    run(rows, as_of=AS_OF + dt.timedelta(days=1), restate=True)
    assert len(table(warehouse, "comparisons")) == len(before)
    rows["label"][3] = rows["label"][63] = not rows["label"][3]
    run(rows, as_of=AS_OF + dt.timedelta(days=3))
    assert len(table(warehouse, "comparisons")) == 2 * len(before)
    assert len(table(warehouse, "latest_comparisons")) == len(before)


def test_of_many_versions_the_latest_is_compared_with_the_others(run, warehouse):
    rows = two_versions(40, seed=16)
    for name, values in list(rows.items()):
        rows[name] = values[:40] * 5
    rows["model_version"] = [version for version in range(1, 6) for _ in range(40)]
    run(rows)
    found = {(row["version"], row["other_version"]) for row in table(warehouse, "comparisons")}
    assert found == {(5, other) for other in (1, 2, 3, 4)}


def test_every_two_of_three_versions_are_compared_week_by_week(run, warehouse):
    weeks = weekly_rows(14)
    n = len(weeks["score"])
    rows = {name: [*values] * 3 for name, values in weeks.items()}
    rows["request_id"] = [f"q{i}" for i in range(n)] * 3
    rows["model_version"] = [version for version in (1, 2, 5) for _ in range(n)]
    run(rows, window="week")
    found = {
        (row["window_start"], row["version"], row["other_version"]): (row["difference"], row["p_value"])
        for row in table(warehouse, "comparisons")
        if row["metric"] == "log_loss"
    }
    starts = (FIRST_DAY, FIRST_DAY + dt.timedelta(days=7))
    assert found == {(start, *pair): (0.0, 1.0) for start in starts for pair in ((2, 1), (5, 1), (5, 2))}
