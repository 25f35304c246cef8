"""The functions that look into a version, against its own parameters and rows counted by hand."""

from __future__ import annotations

import math
import statistics
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from warehouse_ml.errors import DefinitionError
from warehouse_ml.functions import Context, expand
from warehouse_ml.functions.call import Call, ModelName
from warehouse_ml.registry import StoredVersion
from warehouse_ml.scoring import FittedFeature, Linear, Parameters


def ask(context: Context, sql: str) -> list[dict[str, Any]]:
    return context.warehouse.fetch(expand(sql, context, place="query").sql).to_pylist()


def columns(context: Context, sql: str) -> dict[str, str]:
    return context.warehouse.columns(expand(sql, context, place="query").sql)


def stored(context: Context, model: str) -> StoredVersion:
    return context.stored(Call("x", "query", model=ModelName(model)))


def trained_rows(context: Context, model: str) -> list[dict[str, Any]]:
    path = context.registry.snapshot_path(stored(context, model).version)
    return context.warehouse.fetch(f"select * from read_parquet('{path}') where wml_split = 'train'").to_pylist()


COLUMNS = {
    "weights(model churn)": {
        "processed_input": "VARCHAR",
        "weight": "DOUBLE",
        "category_weights": "STRUCT(category VARCHAR, weight DOUBLE)[]",
    },
    "feature_importance(model churn_trees)": {
        "feature": "VARCHAR",
        "importance_weight": "DOUBLE",
        "importance_gain": "DOUBLE",
        "importance_cover": "DOUBLE",
    },
    "feature_info(model churn)": {
        "input": "VARCHAR",
        **dict.fromkeys(("min", "max", "mean", "median", "stddev"), "DOUBLE"),
        **dict.fromkeys(("category_count", "null_count", "dimension"), "BIGINT"),
    },
    "training_info(model churn_trees)": {
        "training_run": "BIGINT",
        "iteration": "BIGINT",
        "loss": "DOUBLE",
        "eval_loss": "DOUBLE",
        "learning_rate": "DOUBLE",
        "duration_ms": "BIGINT",
    },
}


@pytest.mark.parametrize("call", COLUMNS)
def test_columns_and_types(context: Context, call: str) -> None:
    assert list(columns(context, f"select * from ml.{call}").items()) == list(COLUMNS[call].items())


@pytest.mark.parametrize("model", ["churn", "amounts"])
def test_weights_of_the_columns_as_they_are_predict(context: Context, model: str) -> None:
    found = {row["processed_input"]: row for row in ask(context, f"select * from ml.weights(model {model})")}
    assert list(found)[-1] == "__INTERCEPT__"
    assert found["region"]["weight"] is None
    assert found["visits"]["category_weights"] is None
    region = {pair["category"]: pair["weight"] for pair in found["region"]["category_weights"]}
    # BigQuery ML's own rule for what is missing: the mean of the training rows.
    mean = statistics.fmean(row["visits"] for row in trained_rows(context, model) if row["visits"] is not None)
    names = ["visits"] if model == "amounts" else ["amount", "visits"]
    sql = f"select * from ml.explain_predict(model {model}, table churn_requests)"
    for row in ask(context, sql):
        row["visits"] = mean if row["visits"] is None else row["visits"]
        total = found["__INTERCEPT__"]["weight"] + region[row["region"]]
        total += sum(found[name]["weight"] * row[name] for name in names)
        assert total == pytest.approx(row["prediction_value"], rel=1e-9, abs=1e-9)


def test_standardized_weights_are_those_of_the_model(context: Context) -> None:
    parameters = stored(context, "churn").parameters
    sql = "select * from ml.weights(model churn, struct(true as standardize))"
    found = {row["processed_input"]: row for row in ask(context, sql)}
    assert found["__INTERCEPT__"]["weight"] == parameters.linear.intercepts[0]
    for feature, slots in zip(parameters.features, parameters.linear.weights[0], strict=True):
        if feature.encoding == "standard":
            assert found[feature.name]["weight"] == slots[0]
        else:
            pairs = found[feature.name]["category_weights"]
            assert [pair["weight"] for pair in pairs] == list(slots)
            assert [pair["category"] for pair in pairs] == ["east", "north", "south"]


def test_weights_of_several_classes_missing_categories_and_constants(context: Context, monkeypatch: Any) -> None:
    parameters = Parameters(
        "LOGISTIC_REG",
        "multiclass",
        "y",
        "VARCHAR",
        ("a", "b", "c"),
        (
            FittedFeature("x", "number", "standard", mean=3.0, stddev=2.0),
            FittedFeature("same", "number", "standard", mean=7.0, stddev=0.0),
            FittedFeature("c", "category", "one_hot", categories=("p", "q"), has_null=True, reference=2),
        ),
        Linear(
            (1.0, 2.0, 3.0),
            tuple(((w,), (5.0,), (0.5, 0.0, -0.5)) for w in (2.0, 4.0, 6.0)),
            ((0.0, 0.0, 0.1),) * 3,
        ),
    )
    version = replace(stored(context, "churn"), parameters=parameters)
    monkeypatch.setattr(Context, "stored", lambda self, call: version)
    rows = ask(context, "select * from ml.weights(model churn)")
    assert list(rows[0]) == ["processed_input", "weight", "category_weights", "class_label"]
    assert [row["class_label"] for row in rows] == ["a"] * 4 + ["b"] * 4 + ["c"] * 4
    assert [(row["processed_input"], row["weight"]) for row in rows[4:8]] == [
        ("x", 2.0),
        ("same", 0.0),
        ("c", None),
        ("__INTERCEPT__", 2.0 - 4.0 * 3.0 / 2.0),
    ]
    pairs = [{"category": name, "weight": weight} for name, weight in (("p", 0.5), ("q", 0.0), (None, -0.5))]
    assert rows[2]["category_weights"] == pairs


@pytest.mark.parametrize("model", ["churn_trees", "regions"])
def test_importances_are_counted_from_the_splits(context: Context, model: str) -> None:
    parameters = stored(context, model).parameters
    trees = parameters.trees
    found = ask(context, f"select * from ml.feature_importance(model {model})")
    assert {row["feature"] for row in found} == {feature.name for feature in parameters.features}
    gains = [row["importance_gain"] for row in found]
    assert gains == sorted(gains, reverse=True)
    for row in found:
        index = next(i for i, feature in enumerate(parameters.features) if feature.name == row["feature"])
        splits = [node for node, feature in enumerate(trees.feature.tolist()) if feature == index]
        assert row["importance_weight"] == len(splits)
        if splits:
            assert row["importance_gain"] == pytest.approx(np.mean(trees.gain[splits]))
            assert row["importance_cover"] == pytest.approx(np.mean(trees.cover[splits]))
        else:
            assert (row["importance_gain"], row["importance_cover"]) == (0.0, 0.0)


@pytest.mark.parametrize("model", ["churn", "churn_trees", "amounts", "regions"])
def test_feature_info_is_of_the_training_rows(context: Context, model: str) -> None:
    rows = trained_rows(context, model)
    found = ask(context, f"select * from ml.feature_info(model {model})")
    names = [feature.name for feature in stored(context, model).parameters.features]
    assert [row["input"] for row in found] == names
    for info in found:
        values = [row[info["input"]] for row in rows]
        known = [value for value in values if value is not None]
        assert info["null_count"] == len(values) - len(known)
        assert info["dimension"] is None
        if info["input"] == "region":
            assert info["category_count"] == len(set(known)) == 3
            assert [info[name] for name in ("min", "max", "mean", "median", "stddev")] == [None] * 5
            continue
        assert info["category_count"] is None
        assert (info["min"], info["max"]) == (min(known), max(known))
        assert info["mean"] == pytest.approx(statistics.fmean(known))
        assert info["median"] == pytest.approx(statistics.median(known))
        assert info["stddev"] == pytest.approx(statistics.pstdev(known))
        feature = next(f for f in stored(context, model).parameters.features if f.name == info["input"])
        if feature.encoding == "standard":
            assert (info["mean"], info["stddev"]) == pytest.approx((feature.mean, feature.stddev), rel=1e-9)


def test_feature_info_may_be_a_view(context: Context) -> None:
    assert ask(replace(context, is_view=True), "select * from ml.feature_info(model churn)")


def test_training_info_counts_from_zero(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = stored(context, "churn_trees").facts["training_info"]
    found = ask(context, "select * from ml.training_info(model churn_trees)")
    assert found == [{**fact, "iteration": i, "training_run": 0, "duration_ms": None} for i, fact in enumerate(facts)]
    one = ask(context, "select * from ml.training_info(model churn)")
    assert len(one) == 1
    assert one[0]["learning_rate"] is None
    assert math.isfinite(one[0]["loss"])
    steps = [{"iteration": i, "loss": 1 / i, "eval_loss": None, "learning_rate": 0.1} for i in (1, 2, 3)]
    version = replace(stored(context, "churn_trees"), facts={"training_info": steps})
    monkeypatch.setattr(Context, "stored", lambda self, call: version)
    found = ask(context, "select * from ml.training_info(model churn_trees)")
    assert [(row["iteration"], row["loss"], row["eval_loss"]) for row in found] == [
        (0, 1.0, None),
        (1, 0.5, None),
        (2, 1 / 3, None),
    ]


@pytest.mark.parametrize(
    ("call", "message", "hint"),
    [
        (
            "weights(model churn_trees)",
            "ml.weights shows the weights of a linear or logistic regression, and churn_trees is a "
            "boosted_tree_classifier",
            "for this one there is ml.feature_importance and ml.global_explain",
        ),
        (
            "feature_importance(model churn)",
            "ml.feature_importance shows the splits of boosted trees and random forests, and churn is a logistic_reg",
            "for this one there is ml.weights and ml.global_explain",
        ),
        (
            "weights(model churn, struct(true as standardise))",
            'no setting "standardise"',
            'did you mean "standardize"?',
        ),
        ("weights(model churn, struct(1 as standardize))", "standardize = 1", "standardize is true or false"),
        ("feature_info(model churn, struct(1 as n))", 'ml.feature_info has no setting "n"', "it takes none"),
    ],
)
def test_what_cannot_be_answered_is_refused(context: Context, call: str, message: str, hint: str | None) -> None:
    with pytest.raises(DefinitionError) as caught:
        ask(context, f"select * from ml.{call}")
    assert message in caught.value.what
    assert caught.value.hint == hint
    assert caught.value.place == "query:1:15"
