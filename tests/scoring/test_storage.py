"""What is stored is checked before it is believed."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from warehouse_ml.errors import ArtifactError
from warehouse_ml.scoring import FittedFeature, Linear, Parameters, Trees, compile_scoring, storage

FEATURES = (
    FittedFeature("x", "number", "standard", mean=0.1, stddev=2.0),
    FittedFeature("c", "category", "one_hot", categories=("a", "b"), has_null=True, reference=1),
)
LINEAR = Parameters(
    "LOGISTIC_REG",
    "binary",
    "y",
    "BOOLEAN",
    ("false", "true"),
    FEATURES,
    Linear((0.1,), (((1 / 3,), (0.0, 2.0, 3.0)),), ((0.25, 1.5),)),
)


def one_tree():
    return Parameters(
        "BOOSTED_TREE_REGRESSOR",
        "regression",
        "y",
        "DOUBLE",
        (),
        (FittedFeature("x", "number", "double"),),
        trees=Trees(
            baselines=(0.5,),
            tree=np.zeros(3, np.int32),
            node=np.arange(3, dtype=np.int32),
            feature=np.array([0, -1, -1], np.int32),
            threshold=np.array([0.1, 0, 0]),
            is_missing_left=np.array([True, False, False]),
            left=np.array([1, -1, -1], np.int32),
            right=np.array([2, -1, -1], np.int32),
            value=np.array([[0.0], [-1.0], [1.0]]),
            output=np.zeros(1, np.int32),
            cover=np.array([10.0, 4.0, 6.0]),
            gain=np.array([2.5, 0.0, 0.0]),
        ),
    )


def changed(tables, name, column, values):
    table = tables[name]
    array = pa.array(values, table.schema.field(column).type)
    return {**tables, name: table.set_column(table.column_names.index(column), column, array)}


def test_a_linear_model_comes_back():
    again = Parameters.from_tables(LINEAR.to_tables())
    assert again == LINEAR
    assert list(LINEAR.to_tables()) == ["model", "features", "categories", "coefficients", "expected"]


def test_trees_come_back():
    again = Parameters.from_tables(one_tree().to_tables())
    for name in (
        "tree",
        "node",
        "feature",
        "threshold",
        "is_missing_left",
        "left",
        "right",
        "value",
        "output",
        "cover",
        "gain",
    ):
        before, after = getattr(one_tree().trees, name), getattr(again.trees, name)
        assert before.dtype == after.dtype
        np.testing.assert_array_equal(before, after)
    assert again.trees.n_leaves == 2
    assert one_tree().to_tables()["nodes"].to_pylist()[1] == {
        "tree": 0,
        "node": 1,
        "feature": None,
        "threshold": None,
        "is_missing_left": None,
        "left": None,
        "right": None,
        "values": [-1.0],
        "cover": 4.0,
        "gain": None,
    }


@pytest.mark.parametrize(
    ("table", "column", "values", "message"),
    [
        ("model", "format_version", [1], "has the format 1, this release reads 2"),
        ("model", "model_type", ["ORACLE"], 'names an unknown model type "ORACLE"'),
        ("model", "task", ["binary?"], 'names an unknown task "binary[?]"'),
        ("model", "classes", [["true"]], "has 1 classes for a binary task"),
        ("model", "label", [None], "has a NULL in label"),
        ("features", "kind", ["number", "image"], 'names an unknown kind "image"'),
        ("features", "encoding", ["standard", "pickle"], 'names an unknown encoding "pickle"'),
        ("features", "encoding", ["one_hot", "one_hot"], 'encodes "x" as another kind'),
        ("features", "mean", [float("nan"), 0.0], "has a number that is not finite"),
        ("features", "feature", [1, 0], "is out of order"),
        ("features", "reference", [0, 9], "has an unknown reference"),
        ("categories", "category", ["b", "a"], 'is not in ascending order for "c"'),
        ("categories", "code", [1, 3], "is out of order"),
        ("coefficients", "slot", [0, 0, 1, 1, 2], "does not have one weight for each output, feature and slot"),
        ("coefficients", "weight", [float("inf"), 0, 0, 0, 0], "has a weight that is not finite"),
        ("expected", "feature", [1, 0], "is out of order"),
        ("expected", "expected", [float("nan"), 0], "has a number that is not finite"),
    ],
)
def test_a_changed_linear_model_is_refused(table, column, values, message):
    with pytest.raises(ArtifactError, match=f'the table "{table}" of the parameters {message}'):
        Parameters.from_tables(changed(LINEAR.to_tables(), table, column, values))


@pytest.mark.parametrize(
    ("table", "column", "values", "message"),
    [
        ("nodes", "tree", [0, 0, 1], "does not list the trees in order"),
        ("nodes", "node", [0, 2, 1], "does not number the nodes of a tree in order"),
        ("nodes", "feature", [3, None, None], "splits on an unknown feature"),
        ("nodes", "feature", [None, None, None], "has a node that is both split and leaf"),
        ("nodes", "left", [0, None, None], "has a child before its parent or outside of its tree"),
        ("nodes", "right", [7, None, None], "has a child before its parent or outside of its tree"),
        ("nodes", "left", [2, None, None], "has a node without exactly one parent"),
        ("nodes", "threshold", [float("inf"), None, None], "has a number that is not finite"),
        ("nodes", "values", [None, [1.0], [1.0, 2.0]], "has leaves of different lengths"),
        ("nodes", "cover", [10.0, 0.0, 10.0], "has a cover that is not above 0"),
        ("nodes", "cover", [10.0, None, 10.0], "has a cover that is not above 0"),
        ("nodes", "gain", [float("inf"), None, None], "has a cover that is not above 0, or a gain that is not finite"),
        ("trees", "output", [1], "adds to an unknown output"),
        ("trees", "tree", [1], "is out of order"),
        ("outputs", "output", [1], "is out of order"),
    ],
)
def test_a_changed_tree_is_refused(table, column, values, message):
    with pytest.raises(ArtifactError, match=f'the table "{table}" of the parameters {message}'):
        Parameters.from_tables(changed(one_tree().to_tables(), table, column, values))


def test_missing_parts_are_named():
    tables = LINEAR.to_tables()
    with pytest.raises(ArtifactError, match='the table "coefficients" is missing from the parameters'):
        Parameters.from_tables({name: tables[name] for name in ("model", "features", "categories")})
    with pytest.raises(ArtifactError, match='"features" of the parameters lacks the columns mean, stddev'):
        Parameters.from_tables({**tables, "features": tables["features"].drop_columns(["mean", "stddev"])})
    words = pa.array(["a"] * 5)
    with pytest.raises(ArtifactError, match='the table "coefficients" of the parameters has other types'):
        Parameters.from_tables({**tables, "coefficients": tables["coefficients"].set_column(3, "weight", words)})
    with pytest.raises(ArtifactError, match='the table "trees" of the parameters is empty'):
        Parameters.from_tables({**one_tree().to_tables(), "trees": one_tree().to_tables()["trees"].slice(0, 0)})
    with pytest.raises(ArtifactError, match='the table "model" of the parameters has 0 rows instead of one'):
        Parameters.from_tables({**tables, "model": tables["model"].slice(0, 0)})
    with pytest.raises(ArtifactError, match='the table "features" of the parameters is empty'):
        Parameters.from_tables({**tables, "features": tables["features"].slice(0, 0)})


def test_a_model_without_its_part_cannot_be_compiled():
    from sqlglot import exp

    broken = Parameters("LINEAR_REG", "regression", "y", "DOUBLE", (), FEATURES)
    with pytest.raises(ArtifactError, match="the parameters of a linear_reg have no coefficients"):
        compile_scoring(broken, exp.to_table("t"))
    assert storage.FORMAT_VERSION == 2


def test_a_newer_format_asks_for_a_newer_release():
    tables = changed(LINEAR.to_tables(), "model", "format_version", [storage.FORMAT_VERSION + 1])
    with pytest.raises(ArtifactError, match="newer than this release reads") as caught:
        Parameters.from_tables(tables)
    assert caught.value.hint == "upgrade: pip install --upgrade warehouse-ml"
