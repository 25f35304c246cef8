"""The search for the worst slices, against a brute force over pandas, scipy and statsmodels."""

from __future__ import annotations

import datetime as dt
import itertools

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from scipy.stats import t as student
from scipy.stats import ttest_ind
from statsmodels.stats.multitest import multipletests

from warehouse_ml.errors import DefinitionError
from warehouse_ml.evaluation import evaluate, found_slices
from warehouse_ml.evaluation.search import MOST_COLUMNS, MOST_VALUES
from warehouse_ml.warehouses.base import Relation

from .conftest import AS_OF, FIRST_DAY, make_spec, table, with_requests


def searched(warehouse, rows, **config):
    """Return the rows of wml.worst_slices by rank, and what was told."""
    warehouse.load(Relation("joined_rows"), pa.table(with_requests(rows)))
    notes = []
    spec = make_spec(**config)
    evaluate(warehouse, spec, "from joined_rows", as_of=AS_OF, restate=True, search=True, on_note=notes.append)
    found = sorted(table(warehouse, "worst_slices"), key=lambda row: (row["metric"], row["rank"]))
    return found, notes


def made_up(n=4000, seed=1):
    rng = np.random.default_rng(seed)
    return {
        "score": np.clip(rng.beta(2, 3, n), 0.01, 0.99),
        "a": rng.choice(["a1", "a2", "a3", None], n, p=[0.3, 0.3, 0.3, 0.1]),
        "b": rng.choice(["b1", "b2"], n),
        "c": rng.choice(["c1", "c2", "c3", "rare"], n, p=[0.4, 0.3, 0.295, 0.005]),
        "x": np.where(rng.random(n) < 0.05, np.nan, rng.gamma(2, 3, n)),
    }


def with_labels(rows, flip=None, seed=2):
    rng = np.random.default_rng(seed)
    chance = rows["score"] if flip is None else np.where(flip, 1 - rows["score"], rows["score"])
    return {**rows, "label": rng.random(len(chance)) < chance}


def quarters(x):
    known = np.sort(x[~np.isnan(x)])
    edges = [known[int(np.ceil(len(known) * i / 4)) - 1] for i in (1, 2, 3)]
    return np.where(np.isnan(x), -1, np.searchsorted(edges, x))


def brute_force(losses, columns, min_size):
    """Return (metric, names, values) -> value, rest, p, adjusted p; slices of the same rows only once."""
    frame = pd.DataFrame(columns)
    keys = [(name,) for name in frame] + list(itertools.combinations(frame, 2))
    tests, seen = {}, set()
    for names in keys:
        for values, index in frame.groupby(list(names), dropna=False).indices.items():
            rows = frozenset(index.tolist())
            if rows in seen:
                continue
            seen.add(rows)
            if min(len(rows), len(frame) - len(rows)) < min_size:
                continue
            for metric, loss in losses.items():
                inside = np.isin(np.arange(len(frame)), index)
                tested = ttest_ind(loss[inside], loss[~inside], equal_var=False, alternative="greater")
                values = values if isinstance(values, tuple) else (values,)  # noqa: PLW2901
                interval = ttest_ind(loss[inside], loss[~inside], equal_var=False).confidence_interval()
                tests[metric, names, values] = (loss[inside], loss[~inside], tested.pvalue, interval)
    adjusted = multipletests([test[2] for test in tests.values()], method="fdr_bh")[1]
    return {key: (*test, p) for (key, test), p in zip(tests.items(), adjusted, strict=True)}


@pytest.mark.parametrize("task", ["binary", "regression", "multiclass"])
def test_a_search_is_a_brute_force(warehouse, task):
    rows = made_up()
    bad = (rows["a"] == "a2") & (rows["b"] == "b1") | (rows["x"] > 9)
    rows = with_labels(rows, flip=bad)
    score, label = rows["score"], rows["label"].astype(float)
    if task == "binary":
        losses = {"log_loss": -np.log(np.where(label == 1, score, 1 - score)), "error_rate": (score >= 0.5) != label}
    elif task == "regression":
        rows["label"] = score * 3 + np.random.default_rng(3).normal(size=len(score)) * np.where(bad, 2, 1)
        errors = score - rows["label"]
        losses = {"mean_absolute_error": np.abs(errors), "mean_squared_error": errors**2}
    else:
        rows["prediction"] = np.where(score > 0.5, "yes", "no")
        rows["label"] = np.where(label == 1, "yes", "no")
        del rows["score"]
        losses = {"error_rate": rows["prediction"] != rows["label"]}
    losses = {metric: np.asarray(loss, float) for metric, loss in losses.items()}
    found, notes = searched(warehouse, rows, task=task, search=["a", "b", "c", "x"])
    assert notes == []
    columns = {"a": pd.Series(rows["a"]).fillna("(null)"), "b": rows["b"], "c": rows["c"], "x": quarters(rows["x"])}
    expected = brute_force(losses, columns, 30)
    worse = {key: test for key, test in expected.items() if test[4] <= 0.05 and test[0].mean() > test[1].mean()}
    assert len(worse) > 5
    assert len(found) == len(worse)
    by_size = {(key[0], ", ".join(key[1]), len(test[0]), round(test[0].mean(), 9)): test for key, test in worse.items()}
    last = {}
    for row in found:
        inside, rest, p_value, interval, adjusted = by_size[
            row["metric"], row["slice_key"], row["n"], round(row["value"], 9)
        ]
        assert row["n_tests"] == len(expected)
        assert row["value"] == pytest.approx(inside.mean(), rel=1e-9)
        assert row["rest_value"] == pytest.approx(rest.mean(), rel=1e-9)
        assert row["p_value"] == pytest.approx(p_value, rel=1e-5)
        assert row["p_adjusted"] == pytest.approx(adjusted, rel=1e-5)
        assert (row["ci_lower"], row["ci_upper"]) == pytest.approx((interval.low, interval.high), rel=1e-5)
        effect = (inside.mean() - rest.mean()) / np.sqrt((inside.var(ddof=1) + rest.var(ddof=1)) / 2)
        assert row["effect_size"] == pytest.approx(effect, rel=1e-7)
        strength = effect * np.sqrt(len(inside))
        assert strength <= last.get(row["metric"], np.inf) + 1e-9
        last[row["metric"]] = strength


def test_a_planted_intersection_is_found_first(warehouse):
    rows = made_up(8000, seed=4)
    rows = with_labels(rows, flip=(rows["a"] == "a1") & (rows["c"] == "c2"))
    found, _ = searched(warehouse, rows, slices=["a", "b", "c"])
    first = {row["metric"]: (row["slice_key"], row["slice_value"]) for row in found if row["rank"] == 1}
    assert first == {"log_loss": ("a, c", "a1, c2"), "error_rate": ("a, c", "a1, c2")}
    (shown, *_) = found_slices(warehouse, [found[0]["evaluation_id"]], limit=1)
    assert (shown["metric"], shown["slice_value"]) == ("error_rate", "a1, c2")


def test_where_nothing_is_wrong_few_searches_find_anything(warehouse):
    n_windows, per_window = 200, 300
    rows = with_labels(made_up(n_windows * per_window, seed=6), seed=7)
    days = np.arange(n_windows).repeat(per_window)
    rows["requested_at"] = [FIRST_DAY - dt.timedelta(days=int(day)) for day in days]
    found, _ = searched(warehouse, rows, window="day", search=["a", "b", "c", "x"])
    flagged = {row["window_start"] for row in found}
    # 5 % of 200 are 10; with 18 the chance of a true rate of 5 % is below one in a hundred.
    assert len(flagged) <= 18


def test_a_slice_that_never_varies_is_worse_beyond_doubt(warehouse):
    n = 200
    rows = {
        "prediction": ["yes"] * n,
        "label": ["no"] * 40 + ["yes"] * 160,
        "g": ["bad"] * 40 + ["good"] * 160,
        "h": ["bad"] * 40 + ["good"] * 160,
    }
    found, _ = searched(warehouse, rows, task="multiclass", slices=["g", "h"])
    (row,) = found
    assert (row["slice_key"], row["slice_value"], row["value"], row["rest_value"]) == ("g", "bad", 1.0, 0.0)
    assert (row["p_value"], row["effect_size"], row["ci_lower"], row["n_tests"]) == (0, None, None, 2)


def test_what_cannot_be_searched_is_told(warehouse):
    n = MOST_VALUES + 500
    rows = {
        "score": np.linspace(0.1, 0.9, n),
        "label": [True, False] * (n // 2),
        "id": [f"i{i}" for i in range(n)],
        "same": ["x"] * n,
        "g": ["a", "b"] * (n // 2),
    }
    found, notes = searched(warehouse, rows, search=["id", "same", "g"])
    assert notes == [
        'late: not searched: "id" has 1,500 values, more than 1,000',
        'late: not searched: "same" has the same value in every row',
    ]
    assert {row["slice_key"] for row in found} <= {"g"}
    found, notes = searched(warehouse, rows)
    assert found == []
    assert "nothing to search" in notes[0]
    assert searched(warehouse, {**rows, "label": [None] * n}, search=["g"])[0] == []


@pytest.mark.parametrize(
    ("search", "message"),
    [
        (["orign"], 'no column "orign" to search'),
        (["score"], 'search names "score"'),
        ("origin", "search is 'origin'"),
        ([f"c{i}" for i in range(MOST_COLUMNS + 1)], f"{MOST_COLUMNS + 1} columns to search"),
    ],
)
def test_mistakes_are_named(warehouse, search, message):
    rows = {"score": [0.5], "label": [True], "origin": ["a"], **{f"c{i}": ["a"] for i in range(MOST_COLUMNS + 1)}}
    with pytest.raises(DefinitionError) as error:
        searched(warehouse, rows, search=search)
    assert message in str(error.value)
    assert "hint:" in str(error.value) or "has:" in str(error.value)


def test_students_tail_is_scipys(warehouse):
    from warehouse_ml.templates import environment

    t, freedom = np.meshgrid([0.0, 0.3, 1.0, 2.5, 6.0, 12.0], [20.0, 29.5, 57.0, 400.0, 1e6])
    warehouse.load(Relation("given"), pa.table({"t": t.ravel(), "freedom": freedom.ravel()}))
    macros = environment("duckdb").globals
    deviate = macros["normal_of_student"]("given.t", "given.freedom")
    point = macros["student_97_5"]("given.freedom")
    tail = macros["normal_upper_tail"]("placed.deviate")
    sql = f"select {tail} as tail, point from (select {deviate} as deviate, {point} as point from given) as placed"
    found = warehouse.fetch(sql)
    np.testing.assert_allclose(found["tail"].to_numpy(), student.sf(t.ravel(), freedom.ravel()), rtol=2e-6)
    np.testing.assert_allclose(found["point"].to_numpy(), student.ppf(0.975, freedom.ravel()), rtol=1e-5)
