"""What is due, what is written, and what is refused."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from warehouse_ml.errors import DataError, DefinitionError
from warehouse_ml.evaluation import evaluate, worst_slices

from .conftest import AS_OF, FIRST_DAY, make_spec, metrics_of, table
from .test_binary import binary_rows

DAY = dt.timedelta(days=1)
TABLES = ("evaluations", "metrics", "fairness", "calibration", "drift")


def weekly_rows(n_days: int = 28, per_day: int = 10) -> dict[str, Any]:
    rows = binary_rows(n_days * per_day, seed=20)
    at = [FIRST_DAY + i // per_day * DAY for i in range(n_days * per_day)]
    return {**rows, "requested_at": at, "label_known_at": [t + 2 * DAY for t in at]}


def contents(warehouse) -> dict[str, list[dict[str, Any]]]:
    return {name: table(warehouse, name) for name in TABLES}


def test_windows_are_evaluated_once_they_ended(run, warehouse):
    found = run(weekly_rows(), as_of=FIRST_DAY + 16 * DAY, window="week", maturity="2 days", slices=["origin"])
    assert [window.window_start for window in found] == [FIRST_DAY, FIRST_DAY + 7 * DAY]
    assert [window.n_requests for window in found] == [70, 70]
    assert [window.is_mature for window in found] == [True, True]
    assert found[0].window_end == FIRST_DAY + 7 * DAY
    assert found[0].metrics["recall"] is not None
    assert {row["slice_key"] for row in table(warehouse, "metrics")} == {"overall", "origin"}


def test_running_twice_writes_nothing_more(run, warehouse):
    rows = weekly_rows()
    config = {"window": "week", "slices": ["origin"]}
    assert len(run(rows, **config)) == 4
    before = contents(warehouse)
    assert run(rows, **config) == []
    assert run(rows, as_of=AS_OF + DAY, **config) == []
    assert contents(warehouse) == before


def test_a_label_that_becomes_known_restates_its_window_and_keeps_the_old_rows(run, warehouse):
    rows = weekly_rows()
    config = {"window": "week", "maturity": "2 days"}
    (first,) = run(rows, as_of=FIRST_DAY + 7 * DAY, **config)
    assert (first.n_labelled, first.is_mature) == (60, False)
    assert first.label_coverage == pytest.approx(6 / 7)
    (again,) = run(rows, as_of=FIRST_DAY + 9 * DAY, **config)
    assert (again.n_labelled, again.is_mature) == (70, True)
    assert again.evaluation_id != first.evaluation_id
    assert len(table(warehouse, "evaluations")) == 2
    assert {row["evaluation_id"] for row in table(warehouse, "latest_metrics")} == {again.evaluation_id}


def test_maturity_alone_restates_a_window(run, warehouse):
    rows = weekly_rows(7)
    rows["label_known_at"] = rows["requested_at"]
    (first,) = run(rows, as_of=FIRST_DAY + 7 * DAY, window="week", maturity="3 days")
    assert not first.is_mature
    assert run(rows, as_of=FIRST_DAY + 9 * DAY, window="week", maturity="3 days") == []
    (second,) = run(rows, as_of=FIRST_DAY + 10 * DAY, window="week", maturity="3 days")
    assert second.is_mature
    assert second.metrics == pytest.approx(first.metrics, abs=1e-12)


def test_an_old_date_sees_what_was_known_then(run, warehouse):
    rows = weekly_rows()
    run(rows, window="week")
    (early,) = run(rows, as_of=FIRST_DAY + 7 * DAY, window="week")
    assert early.window_start == FIRST_DAY
    assert early.n_labelled == 60
    assert run(rows, window="week") == []


@pytest.mark.parametrize("column", ["score", "label", "origin"])
def test_changed_content_replaces_the_rows_of_the_same_as_of(run, warehouse, column):
    rows = binary_rows(100, seed=21)
    (first,) = run(rows, slices=["origin"])
    n_rows = len(table(warehouse, "metrics"))
    rows[column] = [*rows[column][:-1], {"score": 0.123, "label": not rows["label"][-1], "origin": "JFK"}[column]]
    if column == "origin":
        rows[column][0] = "LGA" if rows[column][0] != "LGA" else "EWR"
    (second,) = run(rows, slices=["origin"])
    assert second.evaluation_id == first.evaluation_id
    assert len(table(warehouse, "evaluations")) == 1
    assert len(table(warehouse, "metrics")) == n_rows


@pytest.mark.parametrize("column", ["score", "label", "origin", "sample_weight"])
def test_values_that_change_places_reopen_a_window(run, column):
    rows = binary_rows(100, seed=25)
    rows["sample_weight"] = [1.0 + i % 3 for i in range(100)]
    config = {"slices": ["origin"], "min_slice_size": 0}
    run(rows, **config)
    assert run(rows, **config) == []
    values = list(rows[column])
    other = next(i for i in range(1, 100) if values[i] != values[0])
    values[0], values[other] = values[other], values[0]
    assert len(run({**rows, column: values}, **config)) == 1


def test_another_definition_evaluates_again(run):
    rows = binary_rows(50, seed=22)
    run(rows)
    assert run(rows) == []
    assert len(run(rows, definition_hash="d2", as_of=AS_OF + DAY)) == 1
    assert len(run(rows, definition_hash="d2", as_of=AS_OF + DAY, restate=True)) == 1


def test_the_order_of_the_rows_changes_nothing(run, warehouse):
    rows = binary_rows(200, seed=23)
    rows["request_id"] = [f"q{i}" for i in range(200)]
    rows["requested_at"] = [FIRST_DAY + i * dt.timedelta(hours=1) for i in range(200)]
    run(rows, slices=["origin"])
    before = contents(warehouse)
    order = np.random.default_rng(1).permutation(200)
    shuffled = {name: [values[i] for i in order] for name, values in rows.items()}
    assert run(shuffled, slices=["origin"]) == []
    run(shuffled, slices=["origin"], restate=True)
    assert table(warehouse, "evaluations") == before["evaluations"]
    for name in ("metrics", "fairness"):
        values = [row["value"] for row in before[name]]
        assert [row["value"] for row in table(warehouse, name)] == pytest.approx(values, abs=1e-12)


def test_versions_are_evaluated_apart(run):
    rows = binary_rows(60, seed=24)
    rows["request_id"] = [f"q{i // 2}" for i in range(60)]
    rows["model_version"] = [1, 2] * 30
    found = run(rows, model="late_arrival")
    assert [(window.model, window.version, window.n_requests) for window in found] == [
        ("late_arrival", 1, 30),
        ("late_arrival", 2, 30),
    ]


def test_a_small_slice_shows_no_rates_and_no_counts_of_labels(run, warehouse):
    rows = {"score": [0.9] * 52, "label": [True] * 40 + [False] * 12, "group": ["a"] * 40 + ["b"] * 12}
    run(rows, slices=["group"])
    small = metrics_of(warehouse, "group")["b"]
    assert small["accuracy"]["value"] is None
    assert small["accuracy"]["is_suppressed"]
    assert small["accuracy"]["reason"] == "denominator 12 < min_slice_size 30"
    assert small["false_positives"]["value"] is None
    assert small["n_positive"]["value"] is None
    assert (small["n_requests"]["value"], small["n_labelled"]["value"]) == (12, 12)
    # What is left of the whole, when the large slice is taken away, is the small one.
    large = metrics_of(warehouse, "group")["a"]
    assert large["recall"]["is_suppressed"]
    assert large["selection_rate"]["reason"] == "complementary: a smaller slice could be derived"
    overall = metrics_of(warehouse)["all"]
    assert overall["specificity"]["value"] == 0
    assert not any(row["is_suppressed"] for row in overall.values())


def test_no_rows_before_as_of_is_nothing_due(run, warehouse):
    assert run(binary_rows(10, seed=1), as_of=FIRST_DAY) == []
    assert table(warehouse, "evaluations") == []


def test_labels_that_are_not_known_yet_leave_nulls(run, warehouse):
    rows = {"score": [0.1, 0.9], "label": [True, False], "label_known_at": [AS_OF + DAY] * 2}
    (window,) = run(rows, slices=[])
    assert (window.n_requests, window.n_labelled, window.label_coverage) == (2, 0, 0)
    found = metrics_of(warehouse)["all"]
    assert found["accuracy"]["reason"] == "no labels known at as_of"
    assert found["label_coverage"]["value"] == 0
    assert table(warehouse, "calibration") == []


def test_the_worst_slices_come_first(run, warehouse):
    rows = {"score": [0.9] * 600 + [0.1] * 200, "label": [True] * 800}
    rows["group"] = ["good"] * 400 + ["fair"] * 240 + ["bad"] * 160
    (window,) = run(rows, slices=["group"])
    found = worst_slices(warehouse, [window.evaluation_id])
    assert [(row["slice_value"], row["is_apart"]) for row in found] == [("bad", True)]
    assert found[0]["metric"] == "recall"
    assert (found[0]["value"], found[0]["overall_value"]) == (0, 0.75)
    assert worst_slices(warehouse, []) == []


def test_the_worst_slices_of_a_regression_have_the_largest_errors(run, warehouse):
    rows = {"score": [1.0] * 60, "label": [1.1] * 30 + [3.0] * 30, "group": ["a"] * 30 + ["b"] * 30}
    (window,) = run(rows, slices=["group"], task="regression")
    (row,) = worst_slices(warehouse, [window.evaluation_id], limit=1)
    assert (row["slice_value"], row["metric"]) == ("b", "mean_absolute_error")


def test_instants_without_a_zone_are_utc(run):
    rows = binary_rows(5, seed=2)
    (window,) = run(rows, as_of=dt.datetime(2024, 3, 1))
    assert window.as_of == AS_OF
    assert run(rows) == []


GOOD: dict[str, Any] = {"request_id": ["a", "b", "c"], "score": [0.1, 0.5, 0.9], "label": [0, 1, 1]}


@pytest.mark.parametrize(
    ("changed", "config", "what"),
    [
        ({"score": [0.1, float("nan"), 0.9]}, {}, "1 scores are not finite, such as nan (request b)"),
        ({"score": [0.1, float("inf"), 0.9]}, {"task": "regression"}, "1 scores are not finite, such as inf"),
        ({"score": [0.1, 1.5, 0.9]}, {}, "1 scores are outside [0, 1], such as 1.5 (request b)"),
        ({"label": [0, 1, 2]}, {}, "1 labels are neither 0 nor 1, such as 2.0 (request c)"),
        ({"label": [0, 1, float("nan")]}, {"task": "regression"}, "1 labels are not finite, such as nan"),
        ({"request_id": ["a", "b", "b"]}, {}, "1 requests occur more than once for one version, such as b (2 rows)"),
        ({"request_id": ["a", None, "c"]}, {}, "1 rows have no request_id"),
        ({"sample_weight": [1.0, -2.0, 1.0]}, {}, "a sample_weight that is no weight, such as -2.0 (request b)"),
        ({"label": ["yes", "no", "no"]}, {}, 'column "label" has the type VARCHAR'),
        ({"score": ["0.1", "0.2", "0.3"]}, {}, 'column "score" has the type VARCHAR'),
    ],
)
def test_rows_that_cannot_be_evaluated_are_refused_and_nothing_is_written(run, warehouse, changed, config, what):
    with pytest.raises(DataError) as error:
        run({**GOOD, **changed}, **config)
    assert what in str(error.value)
    assert str(error.value).startswith("sql/evaluation/late.sql: ")
    assert error.value.hint
    assert all(rows == [] for rows in contents(warehouse).values())


def test_predictions_that_are_no_decisions_are_refused(run):
    with pytest.raises(DataError, match=r"1 predictions are neither 0 nor 1, such as 0\.5"):
        run({"prediction": [0.0, 0.5, 1.0], "label": [0, 1, 1]})


@pytest.mark.parametrize(
    ("rows", "config", "error", "what", "hint"),
    [
        ({"scores": [0.5], "label": [1]}, {}, DataError, 'no column "score"', 'did you mean "scores"?'),
        ({"score": [0.5], "labels": [1]}, {}, DataError, 'no column "label"', 'did you mean "labels"?'),
        (
            {"score": [0.5], "label": [1], "origin": ["a"]},
            {"slices": ["orgin"]},
            DefinitionError,
            'no column "orgin" to slice by',
            'did you mean "origin"?',
        ),
    ],
)
def test_missing_columns_are_named(run, rows, config, error, what, hint):
    with pytest.raises(error) as caught:
        run(rows, **config)
    assert what in str(caught.value)
    assert "has:  request_id, requested_at, " in str(caught.value)
    assert caught.value.hint == hint


def test_a_dollar_in_the_query_is_no_parameter(warehouse, run):
    sql = "select 'r1' as request_id, timestamptz '2024-01-01' as requested_at, 0.5 as score"
    sql += ", true as label, '$model' as price"
    assert len(evaluate(warehouse, make_spec(slices=["price"]), sql, as_of=AS_OF)) == 1
    assert set(metrics_of(warehouse, "price")) == {"$model"}


def test_an_odd_name_of_a_slice_is_only_a_name(run, warehouse):
    odd = 'a "quoted", name; drop'
    run({"score": [0.2, 0.8], "label": [0, 1], odd: pa.array(["it's", None])}, slices=[odd], min_slice_size=0)
    assert set(metrics_of(warehouse, odd)) == {"it's", "(null)"}
