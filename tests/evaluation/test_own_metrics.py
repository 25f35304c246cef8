"""Metrics that an evaluation file defines: over counts and over rows, with slices and intervals."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pytest

from tests.evaluation.conftest import AS_OF, FIRST_DAY, make_spec, metrics_of, table
from tests.tiny import edit, write, write_tiny
from tests.wml import ok, rows
from warehouse_ml.errors import DefinitionError
from warehouse_ml.evaluation.names import BETTER, METRICS
from warehouse_ml.tables import ensure_tables

COST = {"cost": {"counts": "(5 * false_negatives + false_positives) / nullif(n, 0)", "better": "lower", "low": 0}}


def rows_of(n: int, seed: int = 0, n_groups: int = 2) -> dict[str, Any]:
    random = np.random.default_rng(seed)
    score = random.random(n)
    return {
        "score": score,
        "label": random.random(n) < score,
        "group": [f"g{index % n_groups}" for index in range(n)],
        "amount": random.gamma(2.0, 50.0, n),
    }


def cost_of(rows: dict[str, Any], chosen: np.ndarray) -> float:
    predicted, label = rows["score"][chosen] >= 0.5, rows["label"][chosen]
    return float((5 * (label & ~predicted) + (~label & predicted)).mean())


@pytest.mark.parametrize("task", METRICS)
def test_the_names_are_those_of_every_metric_there_is(run, warehouse, task):
    rows: dict[str, Any] = {"score": [0.2, 0.8, 0.4], "label": [0, 1, 1]}
    if task == "multiclass":
        rows = {"prediction": ["a", "b", "a"], "label": ["a", "b", "b"]}
    run(rows, task=task)
    found = {name: row for name, row in metrics_of(warehouse)["all"].items() if not name.endswith("]")}
    assert set(found) == set(METRICS[task])
    for name, row in found.items():
        assert row["better"] == next((way for way, names in BETTER.items() if name in names), None)


def test_a_metric_over_counts_is_worked_out_for_every_slice(run, warehouse):
    rows = rows_of(400)
    run(rows, slices=["group"], metrics=COST)
    group = np.array(rows["group"])
    for key, value, chosen in (
        ("overall", "all", np.ones(400, bool)),
        ("group", "g0", group == "g0"),
        ("group", "g1", group == "g1"),
    ):
        found = metrics_of(warehouse, key)[value]["cost"]
        assert found["value"] == pytest.approx(cost_of(rows, chosen), rel=1e-12)
        assert found["ci_method"] == "jackknife"
        assert found["ci_lower"] < found["value"] < found["ci_upper"]
        assert found["better"] == "lower"
        assert (found["n"], found["denominator"]) == (chosen.sum(), chosen.sum())


def test_a_metric_over_rows_is_their_mean(run, warehouse):
    rows = {**rows_of(300), "sample_weight": np.random.default_rng(1).random(300)}
    run(
        rows,
        metrics={"lost": {"rows": "case when label and score < 0.5 then amount when label is not null then 0 end"}},
    )
    lost = np.where(rows["label"] & (rows["score"] < 0.5), rows["amount"], 0.0)
    found = metrics_of(warehouse)["all"]["lost"]
    assert found["value"] == pytest.approx(np.average(lost, weights=rows["sample_weight"]), rel=1e-12)
    assert found["ci_method"] == "normal"
    assert found["denominator"] == pytest.approx(rows["sample_weight"].sum())


def test_an_expression_does_not_see_a_label_before_it_is_known(run, warehouse):
    early, late = FIRST_DAY + dt.timedelta(days=1), AS_OF + dt.timedelta(days=1)
    rows = {"score": [0.1, 0.9, 0.9], "label": [1, 1, 0], "label_known_at": [late, early, early]}
    run(rows, metrics={"hits": {"rows": "case when label = 1 then 1 when label = 0 then 0 end"}})
    assert metrics_of(warehouse)["all"]["hits"]["value"] == 0.5


def test_intervals_cover_the_truth_and_stay_in_the_range(run, warehouse):
    n_slices, n_rows = 800, 300
    rows = rows_of(n_slices * n_rows, n_groups=n_slices)
    run(rows, slices=["group"], metrics=COST)
    large = rows_of(2_000_000, seed=5)
    truth = cost_of(large, np.ones(2_000_000, bool))
    found = [row["cost"] for row in metrics_of(warehouse, "group").values()]
    assert len(found) == n_slices
    covered = np.mean([row["ci_lower"] <= truth <= row["ci_upper"] for row in found])
    assert 0.93 <= covered <= 0.97
    assert min(row["ci_lower"] for row in found) >= 0


def test_where_an_expression_is_null_the_reason_is_told(run, warehouse):
    run({"score": [0.1, 0.2], "label": [0, 0]}, metrics={"odds": {"counts": "true_positives / nullif(sum_label, 0)"}})
    found = metrics_of(warehouse)["all"]["odds"]
    assert (found["value"], found["ci_lower"], found["reason"]) == (None, None, "its expression is null here")


def test_a_small_slice_is_not_shown(run, warehouse):
    run(rows_of(50), slices=["group"], metrics=COST, min_slice_size=30)
    assert [row["cost"]["is_suppressed"] for row in metrics_of(warehouse, "group").values()] == [True, True]


@pytest.mark.parametrize(
    ("task", "rows", "expression", "wanted"),
    [
        (
            "regression",
            {"score": [1.0, 2.0, 4.0], "label": [1.5, 1.0, 4.0]},
            "sum_absolute_error / sum_label",
            1.5 / 6.5,
        ),
        ("multiclass", {"prediction": ["a", "b", "c"], "label": ["a", "a", "c"]}, "n_correct / n", 2 / 3),
    ],
)
def test_other_tasks_have_counts_too(run, warehouse, task, rows, expression, wanted):
    run(rows, task=task, metrics={"mine": {"counts": expression}})
    assert metrics_of(warehouse)["all"]["mine"]["value"] == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        ("cost", "metrics is 'cost'"),
        ({"Cost": COST["cost"]}, "a metric is called 'Cost'"),
        ({"recall": COST["cost"]}, 'there is a metric "recall" already'),
        ({"cost": "fp"}, "the metric \"cost\" is 'fp'"),
        ({"cost": {"count": "n"}}, 'has no setting "count"'),
        ({"cost": {}}, "needs an expression"),
        ({"cost": {"counts": "n", "rows": "score"}}, "needs an expression"),
        ({"cost": {"counts": "false_negative"}}, 'uses "false_negative", which is no count of a binary task'),
        ({"cost": {"counts": "sum(n)"}}, "is no expression"),
        ({"cost": {"counts": "(select 1)"}}, "is no expression"),
        ({"cost": {"counts": "1"}}, "the same for every slice"),
        ({"cost": {"counts": "n", "better": "less"}}, "better of the metric"),
        ({"cost": {"counts": "n", "low": "0"}}, "low of the metric"),
        ({"cost": {"counts": "n", "low": 1, "high": 1}}, "is empty"),
    ],
)
def test_what_is_no_metric_is_refused(metrics, message):
    with pytest.raises(DefinitionError) as error:
        make_spec(metrics=metrics)
    assert message in str(error.value)


def test_a_column_that_is_not_there_is_named(run, warehouse):
    with pytest.raises(DefinitionError) as error:
        run(rows_of(10), metrics={"mine": {"rows": "amout * 2"}})
    assert 'no column "amout" for the metric "mine"' in str(error.value)
    assert 'did you mean "amount"' in str(error.value)
    assert table(warehouse, "metrics") == []


def test_a_table_of_an_earlier_release_gets_the_columns_that_came_since(warehouse, run):
    run({"score": [0.1, 0.9], "label": [0, 1]})
    before = table(warehouse, "metrics")
    warehouse.run("alter table wml.metrics drop column better")
    warehouse.run("comment on table wml.evaluations is 'that of an earlier release'")
    ensure_tables(warehouse)
    after = table(warehouse, "latest_metrics")
    assert [{**row, "better": None} for row in before] == after


MACRO = """\
{% macro cost(missed, alarmed) %}
({{ missed }} * false_negatives + {{ alarmed }} * false_positives) / nullif(n, 0)  -- a currency a request
{% endmacro %}
"""


def test_a_macro_gives_the_expression_and_a_rule_may_ask_for_it(tmp_path):
    root = write_tiny(tmp_path / "tiny")
    write(root, "sql/macros/cost.sql", MACRO)
    defined = "metrics={'cost': {'counts': cost(5, 1), 'better': 'lower', 'low': 0}}, slices=['region']"
    edit(root, "sql/evaluation/churn.sql", "slices=['region']", defined)
    edit(root, "sql/evaluation/churn.sql", "min_slice_size=10", "min_slice_size=0")
    ok(root, "run", "--since", "2024-02-05", "--as-of", "2024-02-26")
    asked = (
        "select slice_value, value = (5 * fn + fp) / n as is_right, ci_lower < value and value < ci_upper as is_inside "
        "from (pivot wml.latest_metrics on metric in ('false_negatives' as fn, 'false_positives' as fp) "
        "using max(value) group by evaluation_id, slice_value) as counted "
        "inner join wml.latest_metrics as own using (evaluation_id, slice_value) "
        "where own.metric = 'cost' and own.slice_key = 'region' and not own.is_suppressed"
    )
    found = rows(root, asked)
    assert len(found) > 6
    assert all(row["is_right"] and row["is_inside"] for row in found)
