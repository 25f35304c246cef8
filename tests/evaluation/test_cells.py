"""The finest cells that are kept: slices and windows put together from them are those evaluated directly."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from warehouse_ml.errors import SqlError
from warehouse_ml.evaluation import run as run_module

from .conftest import FIRST_DAY, metrics_of, table

# What is not made of cells: ranks, and the middle error.
RANKED = {"roc_auc", "average_precision", "kolmogorov_smirnov", "median_absolute_error"}
SHARES = ("wilson", "wilson_kish", "wilson_jaccard")


def rows_of(task: str, n: int, seed: int, *, weighted: bool, weeks: int = 3) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    rows: dict[str, Any] = {
        "requested_at": [FIRST_DAY + dt.timedelta(days=int(x)) for x in rng.integers(0, 7 * weeks, n)],
        "origin": [[None, "EWR", "JFK"][i] for i in rng.integers(0, 3, n)],
        "air. line/~": rng.integers(1, 4, n).tolist(),
        "late": [bool(x) for x in rng.integers(0, 2, n)],
    }
    if task == "binary":
        rows["score"] = np.round(rng.random(n), 2)
        rows["label"] = [None if x < 0.1 else bool(x < 0.5) for x in rng.random(n)]
    elif task == "multiclass":
        rows["prediction"] = rng.choice(["a", "b", "c"], n).tolist()
        rows["label"] = [None if x == "z" else str(x) for x in rng.choice(["a", "b", "d", "z"], n)]
    else:
        # A mean that drowns squares which are not centred, and that differs from week to week.
        week = np.array([(at - FIRST_DAY).days // 7 for at in rows["requested_at"]])
        label = 1e6 + 1000.0 * week + rng.normal(0, 1, n)
        rows["score"] = label + rng.normal(0.3, 1, n)
        rows["label"] = [None if i % 9 == 0 else float(x) for i, x in enumerate(label)]
    if weighted:
        rows["sample_weight"] = np.round(rng.random(n) * 3, 2)
    return rows


def resliced(warehouse: Any, by: Sequence[str], more: str = "") -> dict[str, dict[str, dict[str, Any]]]:
    names = ", ".join("'" + name.replace("'", "''") + "'" for name in by)
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for row in warehouse.fetch(f"from wml.resliced('late', [{names}]{more})").to_pylist():
        assert row["metric"] not in found.setdefault(row["slice_value"], {})
        found[row["slice_value"]][row["metric"]] = row
    return found


def forget(warehouse: Any) -> None:
    for name in ("evaluations", "metrics", "metric_cells"):
        warehouse.run(f"delete from wml.{name}")


def check(got: dict[str, dict[str, Any]], want: dict[str, dict[str, Any]]) -> None:
    # A class that a slice has no row of is left out there.
    empty = {name for name, row in want.items() if "[" in name and row["value"] is None}
    assert got.keys() | RANKED | empty == want.keys() | (RANKED | empty)
    for name, row in got.items():
        told = ["value", "denominator"]
        if want[name]["ci_method"] in SHARES:
            told += ["ci_lower", "ci_upper"]
            assert row["ci_method"] == want[name]["ci_method"]
        if name == "f1_score":
            told.remove("denominator")
        for key in told:
            expected = want[name][key]
            assert row[key] == (None if expected is None else pytest.approx(expected, rel=1e-9, abs=1e-9)), (name, key)
        assert row["n"] == want[name]["n"]


KEYS: list[list[str]] = [["origin"], ["late", "origin"], ["air. line/~"], ["air. line/~", "late", "origin"]]


@settings(
    max_examples=6,
    derandomize=True,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    task=st.sampled_from(["binary", "multiclass", "regression"]),
    n=st.integers(1, 250),
    seed=st.integers(0, 99),
    weighted=st.booleans(),
)
def test_slices_and_windows_put_together_are_those_evaluated(run, warehouse, task, n, seed, weighted):
    """The finest slice alone is kept by weeks, and every other slice over everything is made of it."""
    rows = rows_of(task, n, seed, weighted=weighted)
    common = {"task": task, "min_slice_size": 0, "restate": True}
    forget(warehouse)
    run(rows, slices=KEYS, keep_cells=False, **common)
    assert table(warehouse, "metric_cells") == []
    direct = {", ".join(key): metrics_of(warehouse, ", ".join(key)) for key in KEYS}
    overall = metrics_of(warehouse)
    forget(warehouse)
    run(rows, slices=[KEYS[-1]], window="week", **common)
    whole = resliced(warehouse, [])
    check(whole["all"], overall["all"])
    for key in KEYS:
        found = resliced(warehouse, key)
        assert found.keys() == direct[", ".join(key)].keys()
        for value, metrics in found.items():
            check(metrics, direct[", ".join(key)][value])


def test_windows_are_chosen_by_their_start_and_shown_one_by_one(run, warehouse):
    rows = rows_of("binary", 300, 3, weighted=False)
    run(rows, slices=["origin"], window="week", min_slice_size=0)
    week = np.array([(at - FIRST_DAY).days // 7 for at in rows["requested_at"]])
    (chosen,) = warehouse.fetch(
        "from wml.resliced('late', [], since := '2024-01-08', until := '2024-01-22') where metric = 'n_requests'"
    ).to_pylist()
    assert (chosen["value"], chosen["n_windows"]) == ((week >= 1).sum(), 2)
    assert (chosen["window_start"].date(), chosen["window_end"].date()) == (dt.date(2024, 1, 8), dt.date(2024, 1, 22))
    each = warehouse.fetch(
        "select window_start, slice_value, metric, value from wml.resliced('late', ['origin'], by_window := true) "
        "where metric not in ('kolmogorov_smirnov') order by all"
    ).to_pylist()
    kept = warehouse.fetch(
        "select window_start, slice_value, metric, value from wml.latest_metrics where slice_key = 'origin' "
        "and metric not in ('roc_auc', 'average_precision', 'kolmogorov_smirnov') order by all"
    ).to_pylist()
    assert [pytest.approx(row, rel=1e-9, abs=1e-12, nan_ok=True) for row in values_of(each)] == values_of(kept)
    assert len({row["window_start"] for row in each}) == 3


def values_of(rows: list[dict[str, Any]]) -> list[dict[Any, Any]]:
    return [{(row["window_start"], row["slice_value"], row["metric"]): row["value"]} for row in rows]


def test_a_restated_window_counts_once(run, warehouse):
    rows = rows_of("binary", 200, 4, weighted=False)
    early = dt.datetime(2024, 2, 10, tzinfo=dt.UTC)
    run(rows, slices=["origin"], window="week", min_slice_size=0, as_of=early)
    rows["label"] = [True] * 200
    run(rows, slices=["origin"], window="week", min_slice_size=0)
    assert len({row["as_of"] for row in table(warehouse, "metric_cells")}) == 2
    found = resliced(warehouse, [])["all"]
    assert (found["n_requests"]["value"], found["n_positive"]["value"]) == (200, 200)
    n_cells = len(table(warehouse, "metric_cells"))
    run(rows, slices=["origin"], window="week", min_slice_size=0, restate=True)
    assert len(table(warehouse, "metric_cells")) == n_cells


def test_cells_that_would_be_a_second_log_are_not_kept(run, warehouse, monkeypatch):
    rows = rows_of("binary", 200, 5, weighted=False)
    monkeypatch.setattr(run_module, "MOST_CELLS", 20)
    run(rows, slices=["late"], min_slice_size=0, thresholds=[0.3])
    assert table(warehouse, "metric_cells") == []
    few = {**rows, "score": [0.55] * 200}
    run(few, slices=["late"], min_slice_size=0, restate=True)
    assert resliced(warehouse, ["late"])["true"]["n_requests"]["value"] == sum(rows["late"])


def test_what_is_below_min_slice_size_is_not_shown(run, warehouse):
    """Of 100 rows of a few are called positive: what compares decisions with answers is hidden, the rest is not."""
    rows = {"score": [0.9] * 5 + [0.1] * 95, "label": ([1, 0] * 50), "group": ["a"] * 100, "other": ["b"] * 100}
    small = {"score": [0.9] * 6, "label": [1] * 6, "group": ["s"] * 6, "other": ["b"] * 6}
    run({name: [*rows[name], *small[name]] for name in rows}, slices=[["group", "other"]], min_slice_size=8)
    found = resliced(warehouse, ["group"])
    shown = {name for name, row in found["a"].items() if row["value"] is not None}
    assert {"selection_rate", "prevalence", "n_positive", "log_loss", "n_requests"} <= shown
    assert not {"recall", "true_positives", "accuracy", "npv", "f1_score", "balanced_accuracy"} & shown
    assert {name for name, row in found["s"].items() if row["value"] is not None} == {
        *("n_requests", "n_labelled", "label_coverage")
    }
    row = found["s"]["accuracy"]
    assert (row["is_suppressed"], row["reason"]) == (True, "below min_slice_size 8")
    assert [row[name] for name in ("ci_lower", "ci_upper", "ci_method", "denominator")] == [None] * 4
    assert resliced(warehouse, [])["all"]["accuracy"]["value"] == pytest.approx(1 - 51 / 106, abs=0.02)


def test_a_column_that_no_cell_has_is_refused(run, warehouse):
    run(rows_of("binary", 20, 6, weighted=False), slices=["origin"])
    with pytest.raises(SqlError, match='no slice column "orign"'):
        resliced(warehouse, ["orign"])


def test_cells_without_slices_are_those_of_everything(run, warehouse):
    rows = rows_of("regression", 60, 7, weighted=True)
    run(rows, task="regression", window="week")
    assert {row["slices"] for row in table(warehouse, "metric_cells")} == {"{}"}
    found = resliced(warehouse, [])["all"]
    y = np.array([np.nan if x is None else x for x in rows["label"]])
    known = ~np.isnan(y)
    error = (rows["score"] - y)[known]
    assert found["mean_error"]["value"] == pytest.approx(np.average(error, weights=rows["sample_weight"][known]))
