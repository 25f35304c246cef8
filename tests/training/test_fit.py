"""Training itself: what the options do, and which data are refused."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest

from warehouse_ml.errors import DataError
from warehouse_ml.options import resolve_options
from warehouse_ml.training.estimators import min_rows_in_leaf
from warehouse_ml.training.fit import fit
from warehouse_ml.training.preprocessing import family_of, fit_preprocessing, infer_features
from warehouse_ml.warehouses.base import Relation
from warehouse_ml.warehouses.duckdb import DuckDBWarehouse

ROWS = Relation("rows")
N = 300
RNG = np.random.default_rng(0)
X = RNG.normal(size=N)
GROUP = np.array(["a", "b", "c"])[RNG.integers(0, 3, N)]
NOISE = RNG.normal(size=N)


@pytest.fixture
def warehouse():
    warehouse = DuckDBWarehouse(threads=1)
    yield warehouse
    warehouse.close()


def train(warehouse, model_type="LOGISTIC_REG", y=None, *, weight=None, split=None, x=X, options=None, features=None):
    n = len(x)
    rows = {"x": x, "group": GROUP[:n], "y": y if y is not None else (X + NOISE > 0)[:n]}
    rows["split"] = split if split is not None else ["train"] * n
    rows["k"] = list(range(n))
    if weight is not None:
        rows["w"] = weight
    warehouse.load(ROWS, pa.table(rows))
    columns = infer_features(warehouse.columns("select * from rows"), exclude=["y", "split", "k", "w"])
    fitted = fit_preprocessing(warehouse, ROWS, columns, family_of(model_type), split_column="split")
    return fit(
        warehouse,
        ROWS,
        fitted if features is None else features,
        model_type=model_type,
        label="y",
        weight_column="w" if weight is not None else None,
        options=resolve_options(model_type, options or {}),
        split_column="split",
        order_by="k",
        place="m.sql",
    )


def test_the_higher_label_is_positive(warehouse):
    assert train(warehouse).parameters.classes == ("false", "true")
    numbers = train(warehouse, y=np.where(X > 0, 10, 9)).parameters
    assert (numbers.classes, numbers.label_type) == (("9", "10"), "BIGINT")
    assert train(warehouse, y=np.where(X > 0, "yes", "no")).parameters.classes == ("no", "yes")
    three = train(warehouse, y=np.array([10, 9, -1])[RNG.integers(0, 3, N)]).parameters
    assert (three.task, three.classes) == ("multiclass", ("-1", "9", "10"))


def test_least_squares_by_hand(warehouse):
    y = 3 * X + np.where(GROUP == "b", 5.0, 0.0) + 1
    result = train(warehouse, "LINEAR_REG", y)
    (slope,), by_group = result.parameters.linear.weights[0]
    assert slope / result.parameters.features[0].stddev == pytest.approx(3)
    assert by_group[1] - by_group[0] == pytest.approx(5)
    assert result.training_info == [
        {"iteration": 1, "loss": pytest.approx(0), "eval_loss": None, "learning_rate": None}
    ]
    dummy = train(warehouse, "LINEAR_REG", y, options={"CATEGORY_ENCODING_METHOD": "DUMMY_ENCODING"}).parameters
    most = max("abc", key=lambda name: (name == GROUP).sum())
    assert dummy.features[1].reference == "abc".index(most) + 1
    assert dummy.linear.weights[0][1]["abc".index(most)] == 0.0


def test_penalties_shrink(warehouse):
    plain = train(warehouse, "LINEAR_REG", X * 2).parameters.linear.weights[0][0][0]
    ridge = train(warehouse, "LINEAR_REG", X * 2, options={"L2_REG": float(N)}).parameters.linear.weights[0][0][0]
    assert ridge == pytest.approx(plain / 2, rel=0.05)
    lasso = train(warehouse, "LINEAR_REG", X * 2, options={"L1_REG": 1e6}).parameters.linear.weights[0]
    assert lasso == ((0.0,), (0.0, 0.0, 0.0))


def test_weights_count_rows(warehouse):
    y = np.where(RNG.random(N) < 0.3, "no", "yes")
    weight = np.where(y == "no", 3.0, 1.0)
    by_column = train(warehouse, y=y, weight=weight, options={"L2_REG": 1.0}).parameters.linear
    by_class = train(
        warehouse, y=y, options={"L2_REG": 1.0, "CLASS_WEIGHTS": [("no", 3), ("yes", 1)]}
    ).parameters.linear
    assert by_column == by_class
    balanced = train(warehouse, y=y, options={"AUTO_CLASS_WEIGHTS": True}).parameters
    assert balanced.linear.intercepts[0] < train(warehouse, y=y).parameters.linear.intercepts[0]
    for kind in ("BOOSTED_TREE_CLASSIFIER", "RANDOM_FOREST_CLASSIFIER"):
        train(warehouse, kind, y=y, weight=weight, options={"AUTO_CLASS_WEIGHTS": True})


def test_boosting_stops_at_the_first_iteration_of_little_progress(warehouse):
    split = np.where(np.arange(N) % 3 == 0, "eval", "train")
    options = {"MAX_ITERATIONS": 30, "MIN_REL_PROGRESS": 0.001, "LEARN_RATE": 0.1}
    on = train(warehouse, "BOOSTED_TREE_CLASSIFIER", split=split, options=options)
    off = train(warehouse, "BOOSTED_TREE_CLASSIFIER", split=split, options={**options, "EARLY_STOP": False})
    n_kept = len(on.training_info)
    assert n_kept == on.parameters.trees.n_trees < 30 == off.parameters.trees.n_trees == len(off.training_info)
    assert off.training_info[:n_kept] == on.training_info
    losses = [row["eval_loss"] for row in off.training_info]
    progress = [(a - b) / a for a, b in pairwise(losses)]
    assert progress[n_kept - 2] < 0.001
    assert min(progress[: n_kept - 2]) >= 0.001
    assert on.warnings[0].startswith(f"stopped after {n_kept} of 30 iterations, where the loss improved by less than")
    assert off.warnings == []
    assert set(on.training_info[0]) == {"iteration", "loss", "eval_loss", "learning_rate"}
    assert (on.n_train, on.n_eval) == (200, 100)


def test_the_squared_error_is_told_whole(warehouse):
    result = train(warehouse, "BOOSTED_TREE_REGRESSOR", X * 10, options={"MAX_ITERATIONS": 1, "LEARN_RATE": 1e-6})
    assert result.training_info[0]["loss"] == pytest.approx((X * 10).var(), rel=1e-3)
    assert result.training_info[0]["eval_loss"] is None


def test_a_model_that_has_not_converged_says_so(warehouse):
    result = train(warehouse, y=X > 0, options={"MAX_ITERATIONS": 2})
    assert result.warnings[0].startswith("not converged after 2 iterations")


def test_rows_that_are_neither_train_nor_eval_are_not_read(warehouse):
    split = np.where(np.arange(N) < 200, "train", "test")
    y = np.where(np.arange(N) < 200, X > 0, False)
    result = train(warehouse, split=split, y=y)
    assert (result.n_train, result.n_eval) == (200, 0)


def test_a_class_that_only_the_evaluation_has_is_told(warehouse):
    y = np.where(np.arange(N) < 5, "rare", np.where(X > 0, "yes", "no"))
    result = train(warehouse, y=y, split=np.where(np.arange(N) < 50, "eval", "train"))
    assert result.parameters.classes == ("no", "yes")
    assert result.warnings[0].startswith("5 rows to evaluate on have a label that no training row has: rare")
    assert result.n_eval == 45


def test_the_weight_of_a_leaf():
    assert [min_rows_in_leaf(w, c) for w, c in [(0, True), (1, False), (1, True), (2.5, False)]] == [1, 1, 4, 3]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y": np.zeros(N, bool)}, 'the label "y" is false in all of the 300 training rows: nothing to tell apart'),
        (
            {"y": pa.array([None, True] * 150)},
            'the label "y" is missing in 150 of 300 rows\n  hint: add "where y is not',
        ),
        ({"y": X}, 'the label "y" is DOUBLE, and a logistic_reg needs classes'),
        ({"y": np.arange(N) % 300, "x": X, "model_type": "LINEAR_REG", "features": ()}, "there are no features"),
        ({"y": GROUP, "model_type": "LINEAR_REG"}, 'the label "y" is VARCHAR, and a linear_reg needs a number'),
        ({"y": X > 0, "model_type": "LINEAR_REG"}, 'the label "y" is BOOLEAN, and a linear_reg needs a number'),
        ({"y": np.where(X > 2, np.nan, X), "model_type": "LINEAR_REG"}, 'the label "y" is not finite in'),
        ({"y": pa.array([None, 1.0] * 150), "model_type": "LINEAR_REG"}, 'the label "y" is missing in 150 of 300'),
        ({"weight": np.where(X > 2, -1, 1)}, 'the weight "w" is missing, negative or not finite in'),
        ({"weight": pa.array([None, 1.0] * 150)}, 'the weight "w" is missing, negative or not finite in 150 of 300'),
        ({"weight": np.zeros(N)}, 'the weight "w" is 0 in all of 300 rows'),
        ({"options": {"CLASS_WEIGHTS": {"yes": 1, "no": 2}}}, r'class_weights names no, yes, but the classes of "y"'),
        ({"options": {"CLASS_WEIGHTS": {"true": 0, "false": 0}}}, "class_weights are all 0"),
        ({"x": X * 1e40, "model_type": "RANDOM_FOREST_CLASSIFIER"}, r'column "x" reaches beyond 3.40282e\+38'),
    ],
)
def test_what_is_refused(warehouse, change, message):
    with pytest.raises(DataError, match=f"m.sql: {message}"):
        train(warehouse, **change)


def test_a_thousand_classes_are_enough(warehouse):
    n = 1_001
    rows = pa.table({"x": np.arange(n), "y": np.arange(n), "split": ["train"] * n})
    warehouse.load(ROWS, rows)
    features = fit_preprocessing(warehouse, ROWS, infer_features({"x": "BIGINT"}), "trees", split_column="split")
    settings = {"weight_column": None, "options": {}, "split_column": "split", "order_by": "x"}
    with pytest.raises(DataError, match='the label "y" has more than 1,000 classes'):
        fit(warehouse, ROWS, features, model_type="RANDOM_FOREST_CLASSIFIER", label="y", **settings)
    with pytest.raises(DataError, match=r'no label column "yy"(?s:.*)did you mean "y"'):
        fit(warehouse, ROWS, features, model_type="LINEAR_REG", label="yy", **settings)


def test_scikit_learn_is_loaded_at_training_only():
    code = "import sys, warehouse_ml.training.fit; assert 'sklearn' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
