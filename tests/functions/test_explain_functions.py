"""``ml.explain_predict`` and ``ml.global_explain``: the columns, the sums, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.tiny import write
from tests.wml import ok, wml
from warehouse_ml.errors import DataError, DefinitionError
from warehouse_ml.functions import Context, expand, explain
from warehouse_ml.functions.call import Call, ModelName

MODELS = ("churn", "churn_trees", "amounts", "regions")
SELECTED = "(select request_id, amount, visits, region from churn_requests)"
INPUT = {"request_id": "VARCHAR", "amount": "DOUBLE", "visits": "INTEGER", "region": "VARCHAR"}
EXPLAINED = {
    "top_feature_attributions": "STRUCT(feature VARCHAR, attribution DOUBLE)[]",
    "baseline_prediction_value": "DOUBLE",
    "prediction_value": "DOUBLE",
    "approximation_error": "DOUBLE",
}
PREDICTED = {
    "churn": {"predicted_has_churned": "BOOLEAN", "probability": "DOUBLE"},
    "churn_trees": {"predicted_has_churned": "BOOLEAN", "probability": "DOUBLE"},
    "amounts": {"predicted_amount": "DOUBLE"},
    "regions": {"predicted_region": "VARCHAR", "probability": "DOUBLE"},
}


def ask(context: Context, sql: str) -> list[dict[str, Any]]:
    return context.warehouse.fetch(expand(sql, context, place="query").sql).to_pylist()


def columns(context: Context, sql: str) -> dict[str, str]:
    return context.warehouse.columns(expand(sql, context, place="query").sql)


@pytest.mark.parametrize("model", MODELS)
def test_columns_and_types(context: Context, model: str) -> None:
    found = columns(context, f"select * from ml.explain_predict(model {model}, {SELECTED})")
    assert list(found.items()) == [*PREDICTED[model].items(), *EXPLAINED.items(), *INPUT.items()]
    found = columns(context, f"select * from ml.global_explain(model {model})")
    assert list(found.items()) == [("feature", "VARCHAR"), ("attribution", "DOUBLE")]


@pytest.mark.parametrize("model", MODELS)
def test_every_row_adds_up_and_agrees_with_predict(context: Context, model: str) -> None:
    rows = ask(context, f"select * from ml.explain_predict(model {model}, {SELECTED}) order by request_id")
    predicted = ask(context, f"select * from ml.predict(model {model}, {SELECTED}) order by request_id")
    assert len(rows) == len(predicted) == ask(context, "select count(*) as n from churn_requests")[0]["n"]
    label = next(iter(PREDICTED[model]))
    for row, other in zip(rows, predicted, strict=True):
        pairs = row["top_feature_attributions"]
        total = row["baseline_prediction_value"] + sum(pair["attribution"] for pair in pairs)
        assert total == pytest.approx(row["prediction_value"], rel=1e-9, abs=1e-9)
        sizes = [abs(pair["attribution"]) for pair in pairs]
        assert sizes == sorted(sizes, reverse=True)
        assert row["approximation_error"] == 0
        assert {name: row[name] for name in INPUT} == {name: other[name] for name in INPUT}
        if model == "amounts":
            assert row[label] == row["prediction_value"] == pytest.approx(other[label], rel=1e-12)
            continue
        assert row[label] == other[label]
        probabilities = {pair["label"]: pair["prob"] for pair in other[f"{label}_probs"]}
        assert row["probability"] == pytest.approx(probabilities[row[label]], rel=1e-12)
        # A forest adds up probabilities, the others the log-odds of the positive class.
        if model == "regions":
            assert row["prediction_value"] == pytest.approx(row["probability"], rel=1e-12)
        else:
            odds = probabilities[True] / probabilities[False]
            assert row["prediction_value"] == pytest.approx(np.log(odds), rel=1e-9, abs=1e-9)


def test_a_linear_model_says_how_far_each_term_is_from_its_mean(context: Context) -> None:
    """By the weights of the columns as they are: nothing of the explanation's own code is used."""
    weights = {row["processed_input"]: row for row in ask(context, "select * from ml.weights(model churn)")}
    region = {pair["category"]: pair["weight"] for pair in weights["region"]["category_weights"]}
    stored = context.stored(Call("x", "query", model=ModelName("churn")))
    path = context.registry.snapshot_path(stored.version)
    sql = f"select * from read_parquet('{path}') where wml_split = 'train'"
    trained = context.warehouse.fetch(sql).to_pylist()
    visits = np.mean([row["visits"] for row in trained if row["visits"] is not None])

    def terms(row: dict[str, Any]) -> dict[str, float]:
        return {
            "amount": weights["amount"]["weight"] * row["amount"],
            "visits": weights["visits"]["weight"] * (visits if row["visits"] is None else row["visits"]),
            "region": region[row["region"]],
        }

    means = {name: np.mean([terms(row)[name] for row in trained]) for name in ("amount", "visits", "region")}
    for row in ask(context, f"select * from ml.explain_predict(model churn, {SELECTED}) limit 50"):
        found = {pair["feature"]: pair["attribution"] for pair in row["top_feature_attributions"]}
        expected = {name: term - means[name] for name, term in terms(row).items()}
        assert found == pytest.approx(expected, rel=1e-8, abs=1e-8)
        intercept = weights["__INTERCEPT__"]["weight"]
        assert row["baseline_prediction_value"] == pytest.approx(intercept + sum(means.values()), rel=1e-8)


def test_settings(context: Context) -> None:
    top = ask(
        context, f"select * from ml.explain_predict(model churn, {SELECTED}, struct(2 as top_k_features)) limit 9"
    )
    assert {len(row["top_feature_attributions"]) for row in top} == {2}
    for threshold, expected in ((0.0, True), (1.0, False)):
        sql = f"select * from ml.explain_predict(model churn, {SELECTED}, struct({threshold} as threshold))"
        rows = ask(context, sql)
        assert {row["predicted_has_churned"] for row in rows} == {expected}
        # Whatever is predicted, the positive class is explained, and the probability is that of the prediction.
        positive = [1 / (1 + np.exp(-row["prediction_value"])) for row in rows]
        probability = [row["probability"] for row in rows]
        assert probability == pytest.approx([p if expected else 1 - p for p in positive], rel=1e-9)
    # The model's file says 0.4.
    rows = ask(context, f"select * from ml.explain_predict(model churn_trees, {SELECTED})")
    assert {(row["predicted_has_churned"], row["prediction_value"] >= np.log(0.4 / 0.6)) for row in rows} == {
        (True, True),
        (False, False),
    }


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("ml.explain_predict(model churn, (select 1 as amount))", 'no column "visits"'),
        (
            "ml.explain_predict(model churn, (select *, 1 as Probability from churn_requests))",
            'the input has a column "Probability" already',
        ),
        (
            "ml.explain_predict(model churn, table churn_requests, struct(0 as top_k_features))",
            "top_k_features = 0 in ml.explain_predict is out of range",
        ),
        (
            "ml.explain_predict(model churn, table churn_requests, struct(2 as top_k))",
            'ml.explain_predict has no setting "top_k"',
        ),
        (
            "ml.explain_predict(model churn, table churn_requests, struct(true as approx_feature_contrib))",
            "approx_feature_contrib of ml.explain_predict cannot be honoured: attributions are exact",
        ),
        (
            "ml.explain_predict(model churn, table churn_requests, struct(50 as integrated_gradients_num_steps))",
            "integrated_gradients_num_steps of ml.explain_predict cannot be honoured",
        ),
        (
            "ml.global_explain(model amounts, struct(true as class_level_explain))",
            "class_level_explain of ml.global_explain has no meaning for amounts, which is a regression",
        ),
        ("ml.global_explain(model churn, struct(1 as class_level_explain))", "class_level_explain is true or false"),
    ],
)
def test_what_cannot_be_answered_is_refused(context: Context, sql: str, message: str) -> None:
    with pytest.raises((DataError, DefinitionError)) as caught:
        ask(context, f"select * from {sql}")
    assert message in str(caught.value)
    assert caught.value.place is not None
    assert caught.value.place.startswith("query:1:")


def test_a_view_is_refused(context: Context) -> None:
    with pytest.raises(DataError, match="a view holds no rows"):
        ask(replace(context, is_view=True), f"select * from ml.explain_predict(model churn, {SELECTED})")


def test_strange_columns_pass_through(context: Context) -> None:
    sql = """(select amount, visits, region, request_id as wml_row, 1 as wml_x0,
              170141183460469231731687303715884105727 as big, {'a': [1, null]} as nested, 'x' as score,
              interval 1 day as gap, 'north'::enum('north', 'x') as kind from churn_requests)"""
    before = columns(context, sql)
    found = columns(context, f"select * from ml.explain_predict(model churn, {sql})")
    assert list(found.items())[6:] == list(before.items())
    passed = (
        f"select distinct cast(big as varchar) as big, nested, kind, gap from ml.explain_predict(model churn, {sql})"
    )
    (row,) = ask(context, passed)
    assert row["big"] == str(2**127 - 1)
    assert (row["nested"], row["kind"]) == ({"a": [1, None]}, "north")
    again = f"select wml_row from ml.explain_predict(model churn, {sql}) order by 1"
    assert ask(context, again) == ask(context, "select request_id as wml_row from churn_requests order by 1")


def test_no_rows_are_explained_to_no_rows(context: Context) -> None:
    sql = "select * from ml.explain_predict(model churn, (select * from churn_requests where false))"
    assert ask(context, sql) == []


@pytest.mark.parametrize("model", MODELS)
def test_batches_change_nothing(context: Context, monkeypatch: pytest.MonkeyPatch, model: str) -> None:
    first = "top_feature_attributions[1].attribution as a"
    sql = f"select request_id, {first} from ml.explain_predict(model {model}, {SELECTED}) order by 1"
    overall = f"select * from ml.global_explain(model {model})"
    whole, means = ask(context, sql), ask(context, overall)
    monkeypatch.setattr(explain, "_BATCH_ROWS", 100)
    parts = ask(context, sql)
    assert [row["a"] for row in parts] == pytest.approx([row["a"] for row in whole], rel=1e-9)
    again = ask(context, overall)
    assert [row["feature"] for row in again] == [row["feature"] for row in means]
    assert [row["attribution"] for row in again] == pytest.approx([row["attribution"] for row in means], rel=1e-12)


@pytest.mark.parametrize("model", MODELS)
def test_global_explanations_are_means_of_the_rows_held_out(context: Context, model: str) -> None:
    stored = context.stored(Call("x", "query", model=ModelName(model)))
    assert stored.facts["split"]["n_eval"] > 0
    path = context.registry.snapshot_path(stored.version)
    held_out = f"(select amount, visits, region from read_parquet('{path}') where wml_split = 'eval')"
    rows = ask(context, f"select * from ml.explain_predict(model {model}, {held_out})")
    sums: dict[str, float] = {}
    for row in rows:
        for pair in row["top_feature_attributions"]:
            sums[pair["feature"]] = sums.get(pair["feature"], 0.0) + abs(pair["attribution"]) / len(rows)
    found = ask(context, f"select * from ml.global_explain(model {model})")
    assert {row["feature"]: row["attribution"] for row in found} == pytest.approx(sums, rel=1e-9)
    values = [row["attribution"] for row in found]
    assert values == sorted(values, reverse=True)


def test_global_explanations_by_class(context: Context) -> None:
    sql = "select * from ml.global_explain(model {}, struct(true as class_level_explain))"
    assert columns(context, sql.format("regions")) == {
        "class_name": "VARCHAR",
        "feature": "VARCHAR",
        "attribution": "DOUBLE",
    }
    found = ask(context, sql.format("regions"))
    assert [row["class_name"] for row in found] == ["east"] * 2 + ["north"] * 2 + ["south"] * 2
    assert len({row["attribution"] for row in found}) == 6
    both = ask(context, sql.format("churn"))
    negative, positive = both[:3], both[3:]
    assert {row["class_name"] for row in negative} == {"false"}
    assert [row["attribution"] for row in negative] == [row["attribution"] for row in positive]
    overall = ask(context, "select * from ml.global_explain(model churn)")
    assert [row["attribution"] for row in overall] == [row["attribution"] for row in positive]


def test_a_whole_number_as_label_and_no_rows_held_out(tiny: Path) -> None:
    write(
        tiny,
        "models/small.sql",
        """{{ config(requests='churn_requests') }}
           create or replace model small options (model_type = 'boosted_tree_classifier', input_label_cols = ['answer'],
           data_split_method = 'no_split', max_iterations = 3) as
           select visits, region, amount, case when amount > 50 then 7 when visits > 9 then -1 else 10 end as answer
           from {{ ref('churn_requests') }}""",
    )
    ok(tiny, "train", "small", "--as-of", "2024-02-05")
    found = ok(tiny, "query", "select * from ml.global_explain(model small)", "--format", "json").rows
    assert {row["feature"] for row in found[:2]} == {"visits", "amount"}
    assert all(row["attribution"] > 0 for row in found[:2])
    by_class = "select distinct class_name from ml.global_explain(model small, struct(true as class_level_explain))"
    classes = ok(tiny, "query", by_class, "--format", "json").rows
    assert {row["class_name"] for row in classes} == {"-1", "7", "10"}
    # The arrays hold classes as text; a whole number is one again.
    sql = "select distinct predicted_answer as x from ml.explain_predict(model small, table churn_requests) order by x"
    assert ok(tiny, "query", sql, "--format", "json").rows == [{"x": -1}, {"x": 7}, {"x": 10}]
    done = wml(tiny, "query", "select * from ml.global_explain(model smalls)")
    assert done.code == 2
    assert "smalls" in done.err
