"""The statistics of automatic preprocessing, against numbers computed by hand."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from sqlglot import exp

from warehouse_ml.errors import DataError, DefinitionError
from warehouse_ml.scoring.features import encode_select
from warehouse_ml.training.preprocessing import FeatureColumn, family_of, fit_preprocessing, infer_features
from warehouse_ml.warehouses.base import Relation
from warehouse_ml.warehouses.duckdb import DuckDBWarehouse

ROWS = Relation("rows")


@pytest.fixture
def warehouse():
    warehouse = DuckDBWarehouse(threads=1)
    yield warehouse
    warehouse.close()


def fitted(warehouse, family="linear", **columns):
    n = len(next(iter(columns.values())))
    split = columns.pop("split", ["train"] * n)
    warehouse.load(ROWS, pa.table({**columns, "split": split}))
    features = infer_features(warehouse.columns("select * from rows"), exclude=["SPLIT"])
    return fit_preprocessing(warehouse, ROWS, features, family, split_column="split")


def encoded(warehouse, features):
    rows = warehouse.fetch(encode_select(features, exp.to_table("rows")).sql(dialect="duckdb"))
    return [rows.column(i).to_pylist() for i in range(len(features))]


def test_numbers_are_standardised_with_the_training_rows_alone(warehouse):
    split = ["train", "train", "train", "eval", "test"]
    (x,) = fitted(warehouse, x=[1.0, 3.0, None, 100.0, None], split=split)
    assert (x.encoding, x.mean, x.stddev) == ("standard", 2.0, 1.0)
    assert encoded(warehouse, [x]) == [[-1.0, 1.0, 0.0, 98.0, 0.0]]


def test_a_constant_or_empty_column_is_zero(warehouse):
    features = fitted(warehouse, c=[7, 7, 7], f=[0.1, 0.1, 0.1], n=pa.nulls(3, pa.int64()))
    assert [feature.stddev for feature in features] == [0.0, 0.0, 0.0]
    assert encoded(warehouse, features) == [[0.0] * 3] * 3


def test_statistics_are_rounded_where_threads_make_them_differ(warehouse):
    rng = np.random.default_rng(0)
    values = rng.normal(size=1000)
    values -= values.mean()
    (x,) = fitted(warehouse, x=values)
    assert x.mean == pytest.approx(0, abs=1e-11)
    assert x.mean == round(x.mean, 11)
    assert x.stddev == pytest.approx(values.std(), rel=1e-11)
    assert len(f"{x.stddev!r}") <= 15


def test_categories_of_a_linear_model(warehouse):
    split = ["train", "train", "train", "eval"]
    (c,) = fitted(warehouse, c=["b", None, "a", "new"], split=split)
    assert (c.encoding, c.categories, c.has_null, c.n_slots) == ("one_hot", ("a", "b"), True, 3)
    assert encoded(warehouse, [c]) == [[2.0, 3.0, 1.0, 0.0]]
    (without,) = fitted(warehouse, c=["b", "a", None], split=["train", "train", "eval"])
    assert (without.has_null, without.n_slots) == (False, 2)
    assert encoded(warehouse, [without]) == [[2.0, 1.0, 0.0]]


def test_categories_of_trees(warehouse):
    split = ["train"] * 4 + ["eval"]
    (c,) = fitted(warehouse, "trees", c=["b", None, "Ä", "a", "new"], split=split)
    assert (c.encoding, c.categories) == ("label", ("a", "b", "Ä"))
    assert encoded(warehouse, [c]) == [[2.0, 0.0, 3.0, 1.0, 0.0]]


def test_other_kinds(warehouse):
    instants = pa.array([0, 1_500_000, None], pa.timestamp("us", "UTC"))
    days = pa.array([0, 2, None], pa.date32())
    enum = pa.array(["x", None, "y"]).dictionary_encode()
    features = fitted(warehouse, "trees", flag=[True, False, None], at=instants, day=days, kind=enum)
    assert [feature.kind for feature in features] == ["boolean", "timestamp", "date", "category"]
    assert encoded(warehouse, features) == [[1.0, 0.0, None], [0.0, 1.5, None], [0.0, 2.0, None], [1.0, 0.0, 2.0]]
    linear = fitted(warehouse, flag=[True, False, None], at=instants, day=days)
    assert [(feature.mean, feature.stddev) for feature in linear] == [(0.5, 0.5), (0.75, 0.75), (1.0, 1.0)]


def test_two_statements_for_any_number_of_features(warehouse, monkeypatch):
    asked = []
    fetch = warehouse.fetch
    monkeypatch.setattr(warehouse, "fetch", lambda sql, parameters=None: asked.append(sql) or fetch(sql, parameters))
    columns = {f"x{i}": [1.0, 2.0] for i in range(30)} | {f"c{i}": ["a", "b"] for i in range(30)}
    assert len(fitted(warehouse, **columns)) == 60
    assert len(asked) == 2


def test_names_are_quoted(warehouse):
    features = fitted(warehouse, **{'a "b"; drop': [1.0, 2.0], "select": ["x", "y"]})
    assert [feature.name for feature in features] == ['a "b"; drop', "select"]


@pytest.mark.parametrize("family", ["linear", "trees"])
@pytest.mark.parametrize(("value", "shown"), [(float("nan"), "nan"), (float("inf"), "inf"), (float("-inf"), "-inf")])
def test_a_number_that_is_not_finite_is_refused(warehouse, family, value, shown):
    with pytest.raises(DataError, match=f'column "x" is not finite in 2 of 4 training rows, for example {shown}'):
        fitted(warehouse, family, x=[1.0, value, None, value])
    # A row that is not trained on is not looked at.
    fitted(warehouse, family, x=[1.0, value], split=["train", "eval"])


def test_a_number_too_large_to_be_squared_is_refused(warehouse):
    with pytest.raises(DataError, match=r'column "x" reaches 1e\+200, and cannot be standardised'):
        fitted(warehouse, x=[1.0, -1e200])
    assert fitted(warehouse, "trees", x=[1.0, 1e200])[0].encoding == "double"


def test_too_many_categories_are_refused(warehouse):
    names = [f"n{i}" for i in range(10_001)]
    with pytest.raises(DataError, match='column "tail" has 10,001 categories, more than 10,000') as error:
        fitted(warehouse, tail=names)
    assert error.value.hint is not None
    assert len(fitted(warehouse, tail=names[:-1])[0].categories) == 10_000


def test_no_training_rows_are_refused(warehouse):
    with pytest.raises(DataError, match="there are no rows to train on"):
        fitted(warehouse, x=[1.0], split=["eval"])


def test_types_that_are_no_features_are_refused():
    with pytest.raises(DefinitionError, match=r'm.sql:3: column "xs" is INTEGER\[\], which cannot be a feature'):
        infer_features({"x": "INTEGER", "xs": "INTEGER[]"}, place="m.sql:3")
    with pytest.raises(DefinitionError, match="there are no features to train on"):
        infer_features({"y": "INTEGER"}, exclude=["Y"])
    assert infer_features({"y": "INTEGER", "x": "DATE"}, exclude=["y"]) == [FeatureColumn("x", "date")]


def test_families():
    assert [family_of(name) for name in ("LINEAR_REG", "LOGISTIC_REG", "RANDOM_FOREST_REGRESSOR")] == [
        "linear",
        "linear",
        "trees",
    ]
