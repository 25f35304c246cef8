"""The query itself: names, literals, lookups, and what is refused."""

from __future__ import annotations

import math

import pyarrow as pa
import pytest
import sqlglot
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlglot import exp

from warehouse_ml.errors import DataError, DefinitionError
from warehouse_ml.scoring import FittedFeature, Linear, Parameters, check_columns, compile_scoring, nodes
from warehouse_ml.scoring.features import encode_select, kind_of
from warehouse_ml.warehouses.base import Relation
from warehouse_ml.warehouses.duckdb import DuckDBWarehouse

FEATURES = (
    FittedFeature('the "x"', "number", "standard", mean=1.0, stddev=2.0),
    FittedFeature("c", "category", "one_hot", categories=("O'Hare", "b"), has_null=True),
)
PARAMETERS = Parameters(
    "LOGISTIC_REG",
    "binary",
    "y",
    "BOOLEAN",
    ("false", "true"),
    FEATURES,
    Linear((0.5,), (((2.0,), (1.0, -1.0, 3.0)),), ((0.0, 0.5),)),
)


@pytest.fixture(scope="module")
def warehouse():
    warehouse = DuckDBWarehouse(threads=1)
    rows = {'the "x"': [1.0, None, 3.0], "c": ["O'Hare", None, "new"], "id": [1, 2, 3]}
    warehouse.load(Relation("r"), pa.table(rows))
    yield warehouse
    warehouse.close()


def test_scores_by_hand(warehouse):
    sql = compile_scoring(PARAMETERS, exp.to_table("r"), ["id"]).order_by("id").sql(dialect="duckdb")
    expected = [1 / (1 + math.exp(-z)) for z in (0.5 + 0 + 1, 0.5 + 0 + 3, 0.5 + 2 + 0)]
    assert warehouse.fetch(sql)["score"].to_pylist() == pytest.approx(expected, rel=1e-15)
    assert warehouse.fetch(sql).column_names == ["id", "score", "prediction"]


def test_the_source_may_be_a_table_a_query_or_a_subquery(warehouse):
    query = sqlglot.parse_one("select * from r where id < 3", read="duckdb")
    sources = [query, exp.Subquery(this=query, alias=exp.to_identifier("wml_input"))]
    for source in sources:
        before = source.sql()
        sql = compile_scoring(PARAMETERS, source, ["id"]).sql(dialect="duckdb")
        assert warehouse.fetch(sql).num_rows == 2
        assert source.sql() == before


def test_the_query_can_be_read_by_people_and_by_bigquery(warehouse):
    query = compile_scoring(PARAMETERS, exp.to_table("wml_input"))
    pretty = query.sql(dialect="duckdb", pretty=True)
    assert "'O''Hare'" in pretty
    assert sqlglot.parse_one(pretty, read="duckdb").sql("duckdb") == sqlglot.parse_one(query.sql("duckdb")).sql(
        "duckdb"
    )
    assert "`c`" in query.sql(dialect="bigquery")


@pytest.mark.parametrize("name", ["score", "Prediction", "probabilities", "wml_x1", "wml_z0"])
def test_a_kept_column_may_not_be_called_as_an_output(name):
    with pytest.raises(DataError, match=f'column "{name}" has a name that the prediction itself uses'):
        compile_scoring(PARAMETERS, exp.to_table("r"), [name])


@pytest.mark.parametrize("threshold", [-0.1, 1.1, math.nan])
def test_a_threshold_is_a_probability(threshold):
    with pytest.raises(DefinitionError, match="out of range"):
        compile_scoring(PARAMETERS, exp.to_table("r"), threshold=threshold)


def test_extreme_scores_stay_in_range(warehouse):
    steep = Parameters(
        "LOGISTIC_REG",
        "binary",
        "y",
        "BOOLEAN",
        ("false", "true"),
        (FittedFeature("x", "number", "standard", mean=0.0, stddev=1.0),),
        Linear((0.0,), (((1.0,),),), ((0.0,),)),
    )
    source = sqlglot.parse_one("select unnest([-1e300, -800.0, 800.0, 1e300]) as x", read="duckdb")
    scores = warehouse.fetch(compile_scoring(steep, source).sql(dialect="duckdb"))["score"].to_pylist()
    assert scores[2:] == [1.0, 1.0]
    assert 0 < scores[0] == scores[1] < 1e-307


@settings(max_examples=150, derandomize=True, deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_read_back_as_the_same_bits(value):
    found = _shared().fetch(f"select {nodes.number(value).sql('duckdb')} as x")["x"]
    assert found.type == pa.float64()
    assert found[0].as_py() == value


def test_there_is_no_literal_for_infinity():
    with pytest.raises(ValueError, match="inf has no literal"):
        nodes.number(math.inf)


@settings(max_examples=25, derandomize=True, deadline=None)
@given(st.sets(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=5), max_size=60))
def test_lookups_find_every_text_and_no_other(texts):
    keys = sorted(texts)
    feature = FittedFeature("t", "category", "label", categories=tuple(keys))
    asked = [*keys, None, "never in there"]
    warehouse = _shared()
    warehouse.load(Relation("texts"), pa.table({"t": pa.array(asked, pa.string()), "i": range(len(asked))}))
    query = encode_select([feature], exp.to_table("texts"), ["i"]).order_by("i")
    found = warehouse.fetch(query.sql(dialect="duckdb"))["wml_x0"].to_pylist()
    assert found == [*map(float, range(1, len(keys) + 1)), 0.0, 0.0]


_WAREHOUSES: list[DuckDBWarehouse] = []


def _shared() -> DuckDBWarehouse:
    if not _WAREHOUSES:
        _WAREHOUSES.append(DuckDBWarehouse(threads=1))
    return _WAREHOUSES[0]


@pytest.mark.parametrize(
    ("type_name", "kind"),
    [
        ("DECIMAL(18,3)", "number"),
        ("UHUGEINT", "number"),
        ("ENUM('a', 'b')", "category"),
        ("ENUM('a\n)', ']')", "category"),
        ("TIMESTAMP_NS", "timestamp"),
        ("TIMESTAMP WITH TIME ZONE", "timestamp"),
        ("DATE", "date"),
        ("TIME", None),
        ("INTEGER[]", None),
        ("STRUCT(a INTEGER)", None),
        ("JSON", None),
        ('"NULL"', None),
    ],
)
def test_kinds(type_name, kind):
    assert kind_of(type_name) == kind


def test_the_columns_to_be_scored_are_checked():
    check_columns(FEATURES, {'THE "X"': "INTEGER", "c": "VARCHAR", "more": "BLOB"})
    with pytest.raises(DataError, match='no column "c", which the model was trained on') as missing:
        check_columns(FEATURES, {'the "x"': "INTEGER", "cc": "VARCHAR"})
    assert missing.value.hint == 'did you mean "cc"?'
    with pytest.raises(DataError, match='column "c" is DOUBLE, but the model was trained on a category'):
        check_columns(FEATURES, {'the "x"': "INTEGER", "c": "DOUBLE"})


def test_instants_are_exact_to_the_microsecond(warehouse):
    features = [FittedFeature("t", "timestamp", "double"), FittedFeature("d", "date", "double")]
    source = sqlglot.parse_one(
        "select timestamptz '2013-01-01 00:00:00.000001+00' as t, date '1969-12-31' as d "
        "union all select 'infinity'::timestamptz, null",
        read="duckdb",
    )
    rows = warehouse.fetch(encode_select(features, source).sql(dialect="duckdb")).to_pylist()
    assert rows[0] == {"wml_x0": 1356998400.000001, "wml_x1": -1.0}
    assert rows[1] == {"wml_x0": None, "wml_x1": None}


def test_a_linear_model_of_many_features_is_added_in_layers(warehouse):
    n = 60
    features = tuple(FittedFeature(f"f{i}", "number", "standard", mean=0.0, stddev=1.0) for i in range(n))
    weights = tuple((1.0 / (i + 1),) for i in range(n))
    linear = Linear((0.1,), (weights,), ((0.0,) * n,))
    wide = Parameters("LINEAR_REG", "regression", "y", "DOUBLE", (), features, linear)
    warehouse.load(Relation("wide"), pa.table({f"f{i}": [float(i), 1 / (i + 1)] for i in range(n)}))
    query = compile_scoring(wide, exp.to_table("wide")).sql(dialect="duckdb")
    expected = []
    for row in (float, lambda i: 1 / (i + 1)):
        total = 0.1
        for i in range(n):
            total += 1.0 / (i + 1) * row(i)
        expected.append(total)
    assert warehouse.fetch(query)["score"].to_pylist() == expected
