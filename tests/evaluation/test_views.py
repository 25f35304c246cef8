"""The views over what was evaluated: a column a metric, and the change from one window to the next."""

from __future__ import annotations

import datetime as dt
import math
from typing import Any

import numpy as np
import pytest

from tests.evaluation.conftest import FIRST_DAY, table
from warehouse_ml.evaluation.names import METRICS


def weeks(n_weeks: int, n_rows: int, drop: float = 0.0) -> dict[str, Any]:
    """Return requests of several weeks; in the last one the labels follow the score less by ``drop``."""
    random = np.random.default_rng(3)
    score = random.random(n_weeks * n_rows)
    week = np.repeat(np.arange(n_weeks), n_rows)
    follows = random.random(len(score)) > np.where(week == n_weeks - 1, drop, 0.0)
    return {
        "score": score,
        "label": np.where(follows, random.random(len(score)) < score, random.random(len(score)) < 0.5),
        "requested_at": [FIRST_DAY + dt.timedelta(weeks=int(number), seconds=i) for i, number in enumerate(week)],
        "group": np.where(random.random(len(score)) < 0.3, "a", "b"),
    }


@pytest.mark.parametrize("task", METRICS)
def test_the_wide_view_has_a_column_for_each_metric(run, warehouse, task):
    rows: dict[str, Any] = {"score": [0.2, 0.8, 0.4], "label": [0, 1, 1], "group": ["x", "x", "y"]}
    if task == "multiclass":
        rows = {"prediction": ["a", "b", "a"], "label": ["a", "b", "b"], "group": ["x", "x", "y"]}
    run(rows, task=task, slices=["group"], min_slice_size=1)
    found = {(row["slice_key"], row["slice_value"]): row for row in table(warehouse, "latest_metrics_wide")}
    assert set(found) == {("overall", "all"), ("group", "x"), ("group", "y")}
    for row in table(warehouse, "latest_metrics"):
        # Classes are the data's own: their rates have no columns.
        if not row["metric"].endswith("]"):
            assert found[row["slice_key"], row["slice_value"]][row["metric"]] == row["value"]


def test_a_change_has_the_interval_of_two_independent_windows(run, warehouse):
    run(weeks(3, 400), slices=["group"], window="week")
    values = {
        (row["slice_value"], row["metric"], row["window_start"]): row
        for row in table(warehouse, "latest_metrics")
        if row["value"] is not None
    }
    found = [row for row in table(warehouse, "metric_changes") if row["metric"] == "recall"]
    assert len(found) == 2 * 3
    for row in found:
        now = values[row["slice_value"], "recall", row["window_start"]]
        then = values[row["slice_value"], "recall", row["previous_window_start"]]
        assert row["window_start"] - row["previous_window_start"] == dt.timedelta(weeks=1)
        change = now["value"] - then["value"]
        below = math.hypot(now["value"] - now["ci_lower"], then["ci_upper"] - then["value"])
        above = math.hypot(now["ci_upper"] - now["value"], then["value"] - then["ci_lower"])
        wanted = (change, change - below, change + above)
        assert (row["change"], row["ci_lower"], row["ci_upper"]) == pytest.approx(wanted, rel=1e-12)


def test_a_fall_is_told_from_noise(run, warehouse):
    run(weeks(3, 3_000, drop=0.6), window="week")
    verdicts = {(row["metric"], row["window_start"].day): row["verdict"] for row in table(warehouse, "metric_changes")}
    assert verdicts["roc_auc", 8] == "no clear change"
    assert verdicts["roc_auc", 15] == "worse"
    assert verdicts["log_loss", 15] == "worse"
    assert verdicts["n_requests", 15] is None
