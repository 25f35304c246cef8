"""Metrics, curves and matrices against scikit-learn, over scores of the models themselves."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn import metrics

from tests.tiny import SPLIT as SPLIT_AT
from tests.wml import ok
from warehouse_ml.errors import DataError, DefinitionError
from warehouse_ml.functions.call import Call, Context, Input, ModelName
from warehouse_ml.functions.evaluate import class_columns, confusion_matrix, evaluate, roc_curve
from warehouse_ml.functions.scored import scored_rows
from warehouse_ml.session import open_session

from .conftest import AS_OF, people

SPLIT = ["train", "train", "eval"] * 133 + ["train"]
SPLIT_DATE = SPLIT_AT.isoformat()
TYPES = {"LOGISTIC_REG": {}, "BOOSTED_TREE_CLASSIFIER": {}, "RANDOM_FOREST_CLASSIFIER": {"NUM_PARALLEL_TREE": 4}}


@pytest.fixture
def binary(lab):
    rows = people()
    rows["y"] = rows["z"] > 0.3
    lab.load("people", rows)
    return lab.train("late", pa.table(rows), "LOGISTIC_REG", split=SPLIT)


@pytest.fixture
def forest(lab):
    rows = people()
    rows["y"] = np.array(["no", "yes", "7-up"])[np.digitize(rows["z"] + rows["score"] / 9, [0.2, 1.2])]
    lab.load("people", rows)
    return lab.train("kind", pa.table(rows), "RANDOM_FOREST_CLASSIFIER", split=SPLIT, NUM_PARALLEL_TREE=3)


def scores(lab, stored, sql: str) -> pd.DataFrame:
    """Return the label beside the scores that the model gives."""
    text = scored_rows(Call("x", "p"), lab.context, stored, Input(sql, sql), ["y"], probabilities=True)
    return lab.warehouse.fetch(text).to_pandas()


def held_out() -> str:
    return "select * from rows_of_late where wml_split = 'eval'"


@pytest.mark.parametrize("threshold", [0.5, 0.3, 0.0, 1.0])
def test_a_binary_model_as_scikit_learn_has_it(lab, binary, threshold):
    found = lab.call(evaluate, "select * from people", model="late", threshold=threshold).to_pylist()[0]
    data = scores(lab, binary, "select * from people")
    truth, guess = data["y"], data["wml_score"] >= threshold
    expected = {
        "precision": metrics.precision_score(truth, guess, zero_division=np.nan),
        "recall": metrics.recall_score(truth, guess),
        "accuracy": metrics.accuracy_score(truth, guess),
        "f1_score": metrics.f1_score(truth, guess),
        "log_loss": metrics.log_loss(truth, data["wml_score"]),
        "roc_auc": metrics.roc_auc_score(truth, data["wml_score"]),
    }
    if threshold == 1.0:
        assert found.pop("precision") is None
        expected.pop("precision")
    assert found == pytest.approx(expected, rel=1e-9)
    assert list(found)[-5:] == ["recall", "accuracy", "f1_score", "log_loss", "roc_auc"]


@pytest.mark.parametrize("model_type", TYPES)
def test_more_classes_are_plain_means_over_them(lab, model_type):
    rows = people()
    rows["y"] = np.digitize(rows["z"] + rows["score"] / 9, [0.2, 1.2]) + 9
    stored = lab.train("kind", pa.table(rows), model_type, **TYPES[model_type])
    lab.load("people", people(seed=5) | {"y": np.digitize(people(seed=5)["z"], [0.1, 1.0]) + 9})
    found = lab.call(evaluate, "select * from people", model="kind").to_pylist()[0]
    data = scores(lab, stored, "select * from people")
    truth, guess = data["y"].astype(str), data["wml_prediction"]
    probabilities = np.stack(data["wml_probabilities"])
    classes = list(stored.parameters.classes)
    assert classes == ["9", "10", "11"]
    column = [classes.index(label) for label in truth]
    likelihood = np.maximum(probabilities[np.arange(len(data)), column], 1e-15)
    areas = [metrics.roc_auc_score(truth == name, probabilities[:, k]) for k, name in enumerate(classes)]
    assert found == pytest.approx(
        {
            "precision": metrics.precision_score(truth, guess, average="macro", zero_division=0),
            "recall": metrics.recall_score(truth, guess, average="macro"),
            "accuracy": metrics.accuracy_score(truth, guess),
            "f1_score": metrics.f1_score(truth, guess, average="macro"),
            "log_loss": -np.log(likelihood).mean(),
            "roc_auc": np.mean(areas),
        },
        rel=1e-9,
    )
    ovr = metrics.roc_auc_score(column, probabilities, multi_class="ovr", average="macro")
    assert found["roc_auc"] == pytest.approx(ovr, rel=1e-9)
    if likelihood.min() > 1e-15:
        assert found["log_loss"] == pytest.approx(metrics.log_loss(column, probabilities), rel=1e-9)


@pytest.mark.parametrize("model_type", ["LINEAR_REG", "BOOSTED_TREE_REGRESSOR"])
def test_a_regression_as_scikit_learn_has_it(lab, model_type):
    rows = people()
    rows["y"] = np.abs(rows["z"]) + 3
    stored = lab.train("size", pa.table(rows), model_type)
    lab.load("people", rows)
    found = lab.call(evaluate, "select * from people", model="size").to_pylist()[0]
    data = scores(lab, stored, "select * from people")
    truth, guess = data["y"], data["wml_score"]
    assert found == pytest.approx(
        {
            "mean_absolute_error": metrics.mean_absolute_error(truth, guess),
            "mean_squared_error": metrics.mean_squared_error(truth, guess),
            "mean_squared_log_error": metrics.mean_squared_log_error(truth, guess),
            "median_absolute_error": metrics.median_absolute_error(truth, guess),
            "r2_score": metrics.r2_score(truth, guess),
            "explained_variance": metrics.explained_variance_score(truth, guess),
        },
        rel=1e-9,
    )
    assert set(lab.columns(evaluate, "select * from people", model="size").values()) == {"DOUBLE"}


def test_without_an_input_the_rows_held_out_are_measured(lab, binary):
    alone = lab.call(evaluate, model="late").to_pylist()
    assert alone == lab.call(evaluate, held_out(), model="late").to_pylist()
    assert alone != lab.call(evaluate, "select * from people", model="late").to_pylist()
    points = lab.call(roc_curve, model="late").to_pylist()
    assert points == lab.call(roc_curve, held_out(), model="late").to_pylist()
    assert sum(value for name, value in points[0].items() if "tives" in name) == 133
    matrix = lab.call(confusion_matrix, model="late").to_pylist()
    assert sum(row["false"] + row["true"] for row in matrix) == 133


def test_a_trained_version_has_the_metrics_that_training_told(tiny):
    ok(tiny, "build", "--as-of", SPLIT_DATE)
    ok(tiny, "train", "churn", "--as-of", SPLIT_DATE)
    with open_session(tiny) as session:
        context = Context(session.warehouse, session.registry, AS_OF)
        found = session.warehouse.fetch(evaluate(Call("evaluate", "q", ModelName("churn")), context)).to_pylist()[0]
        stored = session.registry.get("churn").metrics
    assert found == {name: stored[name] for name in found}
    assert found["roc_auc"] > 0.5


def test_without_rows_held_out_those_trained_on_are_measured(lab):
    rows = people()
    rows["y"] = rows["z"] > 0
    lab.load("people", rows)
    lab.train("late", pa.table(rows), "LOGISTIC_REG")
    assert lab.call(evaluate, model="late") == lab.call(evaluate, "select * from people", model="late")


def test_rows_without_a_label_are_left_out(lab, binary):
    gaps = "select * replace (case when x > 0.5 then null else y end as y) from people"
    none = "select * from people where x > 0.5 is not true"
    assert lab.call(evaluate, gaps, model="late") == lab.call(evaluate, none, model="late")
    assert lab.call(roc_curve, gaps, model="late") == lab.call(roc_curve, none, model="late")
    assert lab.call(confusion_matrix, gaps, model="late") == lab.call(confusion_matrix, none, model="late")


def test_no_row_at_all_has_no_metrics(lab, binary, forest):
    for model in ("late", "kind"):
        empty = f"select * from rows_of_{model} limit 0"
        unknown = f"select * replace (null::{'boolean' if model == 'late' else 'varchar'} as y) from rows_of_{model}"
        for sql in (empty, unknown):
            assert set(lab.call(evaluate, sql, model=model).to_pylist()[0].values()) == {None}
            assert lab.call(confusion_matrix, sql, model=model).num_rows == 0
    assert lab.call(roc_curve, "select * from rows_of_late limit 0", model="late").num_rows == 0


def test_a_class_that_training_did_not_see(lab, forest, binary):
    sql = "select * replace (case when x > 1 then 'new' else y end as y) from rows_of_kind"
    found = lab.call(evaluate, sql, model="kind").to_pylist()[0]
    data = scores(lab, forest, sql)
    truth = data["y"]
    classes = list(forest.parameters.classes)
    probabilities = np.stack(data["wml_probabilities"])
    rows = range(len(data))
    likelihood = [probabilities[i, classes.index(y)] if y in classes else 0 for i, y in zip(rows, truth, strict=True)]
    areas = [metrics.roc_auc_score(truth == name, probabilities[:, k]) for k, name in enumerate(classes)]
    assert found["log_loss"] == pytest.approx(-np.log(np.maximum(likelihood, 1e-15)).mean(), rel=1e-9)
    assert found["roc_auc"] == pytest.approx(np.mean(areas), rel=1e-9)
    macro = metrics.recall_score(truth, data["wml_prediction"], average="macro", zero_division=0)
    assert found["recall"] == pytest.approx(macro, rel=1e-9)
    lab.train("two", pa.table({"x": [1.0, 2.0, 3.0, 4.0], "y": ["no", "no", "yes", "yes"]}), "LOGISTIC_REG")
    with pytest.raises(DataError, match=r"none of the model's classes in 2 rows, such as 'Yes'"):
        lab.call(evaluate, "select * from (values (1.0, 'no'), (2.0, 'Yes'), (3.0, 'Yes')) t(x, y)", model="two")


def test_whole_numbers_may_arrive_as_doubles(lab):
    rows = people()
    rows["y"] = (rows["z"] > 0).astype(int)
    lab.load("people", rows)
    lab.train("late", pa.table(rows), "LOGISTIC_REG")
    for function in (evaluate, roc_curve):
        plain = lab.call(function, "select * from people", model="late")
        assert plain.num_rows > 0
        for type_name in ("double", "decimal(5, 2)", "tinyint"):
            cast = f"select * replace (y::{type_name} as y) from people"
            assert lab.call(function, cast, model="late") == plain


def test_the_curve_at_given_thresholds(lab, binary):
    asked = [0.1, 0.9, 0.5, 0.5, 0, 1]
    points = lab.call(roc_curve, "select * from people", model="late", thresholds=asked).to_pylist()
    data = scores(lab, binary, "select * from people")
    assert [point["threshold"] for point in points] == [1, 0.9, 0.5, 0.1, 0]
    for point in points:
        matrix = metrics.confusion_matrix(data["y"], data["wml_score"] >= point["threshold"])
        (tn, fp), (fn, tp) = matrix.tolist()
        assert point == {
            "threshold": point["threshold"],
            "recall": pytest.approx(tp / (tp + fn)),
            "false_positive_rate": pytest.approx(fp / (fp + tn)),
            "true_positives": tp,
            "false_positives": fp,
            "true_negatives": tn,
            "false_negatives": fn,
        }
    assert lab.call(roc_curve, "select * from people", model="late", thresholds=[]).num_rows == 0


@pytest.mark.parametrize("n", [1, 7, 100, 101, 400])
def test_percentiles_are_scores_that_occur(lab, binary, n):
    sql = f"select * from people where y is not null limit {n}"
    points = lab.call(roc_curve, sql, model="late").to_pylist()
    data = scores(lab, binary, sql)
    ordered = sorted(data["wml_score"])
    expected = {ordered[max(-(-i * n // 100), 1) - 1] for i in range(101)}
    assert [point["threshold"] for point in points] == sorted(expected, reverse=True)
    if data["y"].nunique() == 2:
        fpr, tpr, thresholds = metrics.roc_curve(data["y"], data["wml_score"], drop_intermediate=False)
        exact = {t: (r, f) for t, r, f in zip(thresholds, tpr, fpr, strict=True)}
        for point in points:
            curve = (point["recall"], point["false_positive_rate"])
            assert curve == pytest.approx(exact[point["threshold"]], abs=1e-12)


def test_the_matrix_counts_predictions_by_label(lab, forest):
    found = lab.call(confusion_matrix, "select * from people", model="kind").to_pandas()
    data = scores(lab, forest, "select * from people")
    assert list(found.columns) == ["expected_label", "_7_up", "no", "yes"]
    assert list(found["expected_label"]) == list(forest.parameters.classes) == ["7-up", "no", "yes"]
    expected = metrics.confusion_matrix(data["y"], data["wml_prediction"], labels=list(forest.parameters.classes))
    assert (found.iloc[:, 1:].to_numpy() == expected).all()
    assert lab.columns(confusion_matrix, "select * from people", model="kind") == {
        "expected_label": "VARCHAR",
        "_7_up": "BIGINT",
        "no": "BIGINT",
        "yes": "BIGINT",
    }


def test_the_matrix_of_a_binary_model_has_a_threshold(lab, binary):
    data = scores(lab, binary, "select * from people")
    for threshold in (0.5, 0.8, 0):
        found = lab.call(confusion_matrix, "select * from people", model="late", threshold=threshold).to_pandas()
        expected = metrics.confusion_matrix(data["y"], data["wml_score"] >= threshold)
        assert (found[["false", "true"]].to_numpy() == expected).all()
    assert lab.columns(confusion_matrix, "select * from people", model="late")["expected_label"] == "BOOLEAN"


def test_class_columns_are_names_and_all_different():
    assert class_columns(["0", "1"]) == ["_0", "_1"]
    assert class_columns(["A", "a", "a b", "a-b", "", "expected_label", "é"]) == [
        *("A", "a_1", "a_b", "a_b_1", "_", "expected_label_1", "é"),
    ]


def test_columns_and_types_of_the_curve(lab, binary):
    assert lab.columns(roc_curve, "select * from people", model="late") == {
        "threshold": "DOUBLE",
        "recall": "DOUBLE",
        "false_positive_rate": "DOUBLE",
        "true_positives": "BIGINT",
        "false_positives": "BIGINT",
        "true_negatives": "BIGINT",
        "false_negatives": "BIGINT",
    }


def test_curves_and_matrices_may_be_views_and_metrics_not(lab, binary):
    view = lab.as_view()
    for function in (roc_curve, confusion_matrix):
        text = view.text(function, "select * from people", model="late")
        lab.warehouse.run(f"create or replace view v as {text}")
        assert lab.warehouse.fetch("select * from v") == lab.call(function, "select * from people", model="late")
    with pytest.raises(DataError, match="a view holds no rows"):
        view.text(evaluate, "select * from people", model="late")


@pytest.mark.parametrize(
    ("function", "sql", "settings", "message"),
    [
        (evaluate, 'select x, score, z, "group" from people', {}, 'q.sql:1: no column "y", which is the label'),
        (evaluate, "select * replace (1 as y) from people", {}, 'q.sql:1: the label "y" is INTEGER, but'),
        (
            evaluate,
            "select * from people",
            {"threshold": 1.5},
            "q.sql:1: threshold = 1.5 in ml.evaluate is out of range",
        ),
        (evaluate, "select * from people", {"treshold": 0.5}, 'q.sql:1: ml.evaluate has no setting "treshold"'),
        (
            confusion_matrix,
            "select * from people",
            {"threshold": "x"},
            "q.sql:1: threshold = 'x' in ml.confusion_matrix",
        ),
        (
            roc_curve,
            "select * from people",
            {"thresholds": [0.5, 2]},
            "q.sql:1: thresholds = 2 in ml.roc_curve is out of",
        ),
        (roc_curve, "select * from people", {"thresholds": ["a"]}, "q.sql:1: thresholds = ['a'] in ml.roc_curve"),
    ],
)
def test_mistakes_are_named(lab, binary, function, sql, settings, message):
    with pytest.raises((DataError, DefinitionError)) as error:
        lab.call(function, sql, model="late", **settings)
    assert str(error.value).startswith(message)
    assert "hint:" in str(error.value)


def test_other_models_have_no_curve_matrix_or_threshold(lab, forest):
    rows = people()
    lab.train("size", pa.table({**rows, "y": rows["z"]}), "LINEAR_REG")
    with pytest.raises(DataError, match="kind is a random_forest_classifier of 3 classes"):
        lab.call(roc_curve, "select * from people", model="kind")
    with pytest.raises(DataError, match="size is a linear_reg"):
        lab.call(confusion_matrix, "select * from people", model="size")
    for model in ("size", "kind"):
        with pytest.raises(DefinitionError, match=r"ml\.evaluate takes no threshold"):
            lab.call(evaluate, "select * from people", model=model, threshold=0.5)
