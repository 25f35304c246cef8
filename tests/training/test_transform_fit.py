"""TRANSFORM fitted: on the training rows alone, innermost first, and the features that its outputs become."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given as examples
from hypothesis import settings
from hypothesis import strategies as st
from sqlglot import exp

from tests.training.transforming import applied, fitted, given
from warehouse_ml.errors import ArtifactError, DataError, DefinitionError
from warehouse_ml.scoring import InputColumn, Linear, Parameters, check_columns, transform_select
from warehouse_ml.scoring.features import FittedFeature, encode_select
from warehouse_ml.warehouses.duckdb import DuckDBWarehouse

EVERY = (
    "ml.standard_scaler(x) over () as a",
    "ml.min_max_scaler(x) over () as b",
    "ml.max_abs_scaler(x) over () as c",
    "ml.robust_scaler(x) over () as d",
    "ml.imputer(x, 'mean') over () as e",
    "ml.imputer(x, 'median') over () as f",
    "ml.imputer(s, 'most_frequent') over () as g",
    "ml.quantile_bucketize(x, 3) over () as h",
    "ml.one_hot_encoder(s, 'most_frequent', 2, 0) over () as i",
    "ml.label_encoder(s, 2, 0) over () as j",
    "ml.multi_hot_encoder(l, 2, 0) over () as k",
    "x - avg(x) over () as l",
    "x / max(x) over () as m",
    "count(*) over () as n",
)


@pytest.fixture(scope="module")
def warehouse():
    warehouse = DuckDBWarehouse(threads=2)
    yield warehouse
    warehouse.close()


def encoded(warehouse, transform, relation="rows"):
    query = encode_select(transform.features, exp.to_table(relation), ["row"]).order_by("row")
    rows = warehouse.fetch(query.sql(dialect="duckdb"))
    names = [feature.name for feature in transform.features]
    return {name: rows[f"wml_x{index}"].to_pylist() for index, name in enumerate(names)}


def test_statistics_come_from_the_training_rows_alone(warehouse):
    split = ["train"] * 5 + ["eval", "test", "eval"]
    columns = {"x": [1.0, 2.0, None, 4.0, 9.0, 5.0, 6.0, 7.0], "s": ["a", "b", "b", None, "c", "a", "a", "a"]}
    lists = [["p"], ["p", "q"], None, [], ["q", "r"], ["r"], ["r"], ["r"]]
    before = fitted(warehouse, {**columns, "l": lists, "split": split}, *EVERY)
    columns = {"x": [*columns["x"][:5], -1e9, 1e9, 1e8], "s": [*columns["s"][:5], "zzz", "zzz", "zzz"]}
    after = fitted(warehouse, {**columns, "l": [*lists[:5], ["zzz"], ["zzz"], ["zzz"]], "split": split}, *EVERY)
    assert after.outputs == before.outputs
    assert after.features == before.features
    changed = fitted(warehouse, {**columns, "l": lists, "split": ["train"] * 8}, *EVERY)
    assert all(a.frozen != b.frozen for a, b in zip(changed.outputs, before.outputs, strict=True))


def test_calls_nest_and_are_fitted_innermost_first(warehouse):
    values = [4.0, None, 10.0, -2.0, 0.0]
    found = given(
        warehouse,
        {"x": values},
        "ml.standard_scaler(ml.imputer(x * 2, 'mean') over ()) over () as a",
        "1 - 2 * ml.min_max_scaler(x - avg(x) over ()) over () as b",
        "ml.label_encoder(ml.bucketize(ml.standard_scaler(x) over (), [0]), 10, 0) over () as c",
        "max(x) over () - min(x) filter (where x > avg(x) over ()) over () as d",
        "2 / ml.standard_scaler(x + 1) over () / 4 as e",
        "ml.polynomial_expand(struct(ml.standard_scaler(x) over () as p, ml.max_abs_scaler(x) over () as q)) as f",
    )
    x = np.array([np.nan if value is None else value for value in values])
    filled = np.where(np.isnan(x), np.nanmean(2 * x), 2 * x)
    np.testing.assert_allclose(found["a"], (filled - filled.mean()) / filled.std(), rtol=1e-11)
    scaled = (x - np.nanmean(x)) / np.nanstd(x)

    def same(name, expected):
        np.testing.assert_allclose(
            [math.nan if v is None else v for v in found[name]], expected, rtol=1e-11, atol=1e-12
        )

    same("b", 1 - 2 * (x + 2) / 12)
    assert found["c"] == [0 if np.isnan(v) else 1 + (v >= 0) for v in scaled]
    assert found["d"] == [10.0 - 4.0] * 5
    same("e", 2 / scaled / 4)
    assert found["f"][2]["p_q"] == pytest.approx(scaled[2] * x[2] / 10)
    assert found["f"][1]["p"] is None


def test_plain_aggregates_become_constants_of_their_own_type(warehouse):
    columns = {
        "x": [1.5, 2.5, None, -4.0],
        "n": [1, 2, 3, 9],
        "d": pa.array([0, 1, 5, None], pa.date32()),
        "s": ["b", "a", None, "c"],
        "e": pa.nulls(4, pa.float64()),
    }
    transform = fitted(
        warehouse,
        columns,
        "count(*) over () as a",
        "count(distinct x) over () as b",
        "max(n) over () - n as c",
        "date_diff('day', d, max(d) over ()) as d",
        "s = max(s) over () as e",
        "sum(n) over () / 4 as f",
        "stddev_pop(x) over () as g",
        "quantile_cont(x, 0.5) over () as h",
        "count_if(x > 0) over () as i",
        "coalesce(max(e) over (), x) as j",
    )
    found = applied(warehouse, transform)
    assert (found["a"][0], found["b"][0], found["c"]) == (4, 3, [8, 7, 6, 0])
    assert (found["d"], found["e"]) == ([5, 4, 0, None], [False, False, None, True])
    assert (found["f"][0], found["h"][0], found["i"][0]) == (3.75, 1.5, 2)
    assert found["g"][0] == pytest.approx(np.std([1.5, 2.5, -4.0]), rel=1e-11)
    assert found["j"] == columns["x"]
    assert all("OVER" not in output.frozen for output in transform.outputs)


@settings(max_examples=8, derandomize=True, deadline=None)
@examples(
    st.lists(
        st.tuples(
            st.none() | st.floats(-1e6, 1e6) | st.integers(-3, 3).map(float),
            st.none() | st.sampled_from(["a", "b", "c", "'", "", "ü"]),
            st.none() | st.lists(st.sampled_from(["p", "q", "r"]), max_size=4),
        ),
        min_size=2,
        max_size=25,
    )
)
def test_training_is_serving(rows):
    """The features that training reads are those of the frozen expressions, and these are what Python computes."""
    warehouse = _shared()
    columns = {
        "x": pa.array([x for x, _, _ in rows], pa.float64()),
        "s": pa.array([s for _, s, _ in rows], pa.string()),
        "l": pa.array([items for _, _, items in rows], pa.list_(pa.string())),
    }
    # What fills needs a value to fill with, and what divides one to divide by.
    items = [item for item in EVERY if "imputer" not in item and " / " not in item]
    transform = fitted(warehouse, columns, *items)
    parameters = _stored(transform)
    assert Parameters.from_tables(parameters.to_tables()) == parameters
    found = applied(warehouse, transform)
    known = np.array([x for x, _, _ in rows if x is not None])
    if len(known):
        mean, spread, largest = known.mean(), known.std(), np.abs(known).max()
        is_constant = known.min() == known.max()
        for index, (x, s, _) in enumerate(rows):
            if x is None:
                assert all(found[name][index] is None for name in "abcdhl")
                continue
            scale = largest or 1.0
            if not is_constant:
                assert found["a"][index] == pytest.approx((x - mean) / spread, rel=1e-6, abs=1e-6)
            assert found["c"][index] == pytest.approx(x / scale, rel=1e-12)
            assert found["l"][index] == pytest.approx(x - mean, abs=1e-6)
            assert (found["j"][index] == 0) >= (s is None)
    # As a model reads them: the same numbers, where nothing more is done to them.
    matrix = encoded(warehouse, transform)
    for index, (_, _, items_of_row) in enumerate(rows):
        for name in [name for name in matrix if name.startswith("k[")]:
            assert matrix[name][index] == float(name[2:-1] in (items_of_row or []))
    # One row alone gives what it gave among the others.
    warehouse.run("create or replace temp table alone as select * from rows where row = 1")
    alone = applied(warehouse, transform, "alone")
    assert repr(alone) == repr({name: values[1:2] for name, values in found.items()})


_WAREHOUSES: list[DuckDBWarehouse] = []


def _shared() -> DuckDBWarehouse:
    if not _WAREHOUSES:
        _WAREHOUSES.append(DuckDBWarehouse(threads=1))
    return _WAREHOUSES[0]


def _stored(transform):
    weights = tuple((0.5,) * feature.n_slots for feature in transform.features)
    return Parameters(
        "LINEAR_REG",
        "regression",
        "label",
        "DOUBLE",
        (),
        transform.features,
        Linear((0.0,), (weights,), ((0.0,) * len(weights),)),
        transform=transform.outputs,
        input_columns=transform.inputs,
    )


def test_one_hot_encoder_in_a_linear_model_is_one_feature(warehouse):
    columns = {"s": ["b", "a", "b", None, "rare"], "split": ["train"] * 4 + ["eval"]}
    (feature,) = fitted(warehouse, columns, "ml.one_hot_encoder(lower(s), 'none', 9, 0) over () as y").features
    assert replace(feature, elsewhere=None) == FittedFeature(
        "y", "category", "one_hot", categories=("a", "b"), expression='LOWER("s")'
    )
    transform = fitted(warehouse, columns, "ml.one_hot_encoder(s, 'most_frequent', 9, 0) over () as y")
    assert (transform.features[0].reference, transform.features[0].has_null) == (2, False)
    # The code of what is left out is that of its category; NULL and the unknown are 0.
    assert encoded(warehouse, transform) == {"y": [2.0, 1.0, 2.0, 0.0, 0.0]}


def test_one_hot_encoder_in_trees_is_a_column_for_each_category(warehouse):
    columns = {"s": ["b", "a'", "b", None, "rare"], "split": ["train"] * 4 + ["eval"]}
    transform = fitted(warehouse, columns, "ml.one_hot_encoder(s, 'none', 9, 0) over () as y", family="trees")
    assert encoded(warehouse, transform) == {"y[a']": [0.0, 1.0, 0.0, 0.0, 0.0], "y[b]": [1.0, 0.0, 1.0, 0.0, 0.0]}
    assert {feature.encoding for feature in transform.features} == {"double"}
    transform = fitted(warehouse, columns, "ml.one_hot_encoder(s, 'most_frequent', 9, 0) over () as y", family="trees")
    assert list(encoded(warehouse, transform)) == ["y[a']"]


@pytest.mark.parametrize("family", ["linear", "trees"])
def test_lists_and_structs_become_columns(warehouse, family):
    columns = {
        "l": [["p", "q"], ["q"], [], None],
        "v": [[1.0, 2.0], [3.0], None, [4.0, None]],
        "x": [1.0, 2.0, 3.0, 4.0],
        "s": ["a", "b", "a", None],
    }
    transform = fitted(
        warehouse,
        columns,
        "ml.multi_hot_encoder(l, 9, 0) over () as hot",
        "ml.ngrams(l, [1, 2]) as grams",
        "v",
        "ml.polynomial_expand(struct(x, x * x as xx)) as poly",
        "ml.feature_cross(struct(s, ml.bucketize(x, [2]) as b)) as crossed",
        "struct_pack(inner_list := v, flag := x > 2) as st",
        family=family,
    )
    found = encoded(warehouse, transform)
    names = [
        "hot[p]",
        "hot[q]",
        "grams[p]",
        "grams[p q]",
        "grams[q]",
        "v[1]",
        "v[2]",
        "poly.x",
        "poly.x_x",
        "poly.x_xx",
    ]
    names += ["poly.xx", "poly.xx_xx", "crossed.s_b", "st.inner_list[1]", "st.inner_list[2]", "st.flag"]
    assert list(found) == names
    # What is 0 or 1 already is left as it is, also in a linear model.
    assert (found["hot[p]"], found["hot[q]"]) == ([1.0, 0.0, 0.0, 0.0], [1.0, 1.0, 0.0, 0.0])
    assert (found["grams[p q]"], found["grams[q]"]) == ([1.0, 0.0, 0.0, 0.0], [1.0, 1.0, 0.0, 0.0])
    if family == "trees":
        assert (found["v[1]"], found["v[2]"]) == ([1.0, 3.0, None, 4.0], [2.0, None, None, None])
        assert found["poly.x_xx"] == [1.0, 8.0, 27.0, 64.0]
        # a_bin_1, a_bin_2 and b_bin_2 in alphabetical order; what is crossed with NULL is missing.
        assert found["crossed.s_b"] == [1.0, 3.0, 2.0, 0.0]
        assert found["st.flag"] == [0.0, 0.0, 1.0, 1.0]
    else:
        x = np.array(columns["x"])
        np.testing.assert_allclose(found["poly.x"], (x - x.mean()) / x.std(), rtol=1e-11)
        assert found["v[2]"] == [0.0] * 4


def test_inputs_are_the_columns_that_features_read(warehouse):
    columns = {
        "label": [1.0, 2.0],
        "Unused": [1, 2],
        "X": [1, 2],
        "tags": [["a"], ["b"]],
        "vectors": [[1], [2]],
        "s": ["a", "b"],
    }
    transform = fitted(
        warehouse, columns, "x + 1 as y", "ml.multi_hot_encoder(TAGS, 9, 0) over () as t", "vectors[1] as v", "label"
    )
    assert transform.inputs == (
        InputColumn("X", "number"),
        InputColumn("tags", "category[]"),
        InputColumn("vectors", "number[]"),
    )
    assert [(one.name, one.written, one.is_feature) for one in transform.outputs][::3] == [
        ("y", "x + 1", True),
        ("label", "label", False),
    ]
    assert transform.outputs[0].frozen == '"X" + 1'
    parameters = _stored(transform)
    assert parameters.inputs == transform.inputs
    check_columns(parameters.inputs, {"x": "DOUBLE", "tags": "VARCHAR[]", "vectors": "DOUBLE[]"})
    with pytest.raises(DataError, match=r'column "tags" is INTEGER\[\], but the model was trained on a category\[\]'):
        check_columns(parameters.inputs, {"x": "DOUBLE", "tags": "INTEGER[]", "vectors": "DOUBLE[]"})


def test_transform_select_gives_outputs_under_their_names(warehouse):
    columns = {"label": [1.0, 2.0], "x": [1.0, 3.0], "s": ["a", None]}
    items = ("label", "s", "ml.max_abs_scaler(x) over () as x", "ml.one_hot_encoder(s, 'none', 9, 0) over () as hot")
    parameters = _stored(fitted(warehouse, columns, *items))

    def types(**arguments):
        query = transform_select(parameters, exp.to_table("rows"), **arguments)
        return warehouse.columns(query.sql(dialect="duckdb"))

    hot = 'STRUCT("index" BIGINT, "value" DOUBLE)[]'
    assert types(keep=["row", "s"]) == {"row": "BIGINT", "s": "VARCHAR", "x": "DOUBLE", "hot": hot}
    assert list(types(columns=["label", "x", "s"])) == ["label", "s", "x", "hot"]
    assert list(types(columns=["x", "s"])) == ["s", "x", "hot"]
    without = Parameters("LINEAR_REG", "regression", "y", "DOUBLE", (), parameters.features, parameters.linear)
    with pytest.raises(DataError, match="the model has no TRANSFORM"):
        transform_select(without, exp.to_table("rows"))


def test_a_star_stands_for_what_it_does_not_leave_out(warehouse):
    columns = {"label": [1.0, 2.0], "a": [1.0, 2.0], "b": [3.0, 4.0], "C d": [5.0, 6.0]}
    transform = fitted(warehouse, columns, "* except (B)", "b * 2 as twice")
    assert [one.name for one in transform.outputs] == ["label", "a", "C d", "twice"]
    assert [feature.name for feature in transform.features] == ["a", "C d", "twice"]
    assert [column.name for column in transform.inputs] == ["a", "b", "C d"]


def test_rare_categories_that_are_left_out_are_told(warehouse):
    columns = {"s": ["a"] * 5 + ["b", "b", "c"], "l": [["p"]] * 5 + [["q"], ["q", "r"], None]}
    items = ("ml.one_hot_encoder(s) over () as o", "ml.label_encoder(s) over () as e")
    items = (*items, "ml.multi_hot_encoder(l) over () as m", "ml.label_encoder(s, 1, 5) over () as quiet")
    warnings = fitted(warehouse, columns, *items).warnings
    assert len(warnings) == 3
    assert warnings[0] == (
        '"o" of TRANSFORM: ml.one_hot_encoder("s") leaves out 2 rare categories (3 training rows), because '
        "frequency_threshold is 5 where it is not written; to keep them: "
        "ml.one_hot_encoder(\"s\", 'none', 32000, 0) over ()"
    )
    assert 'ml.label_encoder("s", 32000, 0) over ()' in warnings[1]
    assert 'ml.multi_hot_encoder("l") leaves out 2 rare categories (3 training rows)' in warnings[2]
    assert not fitted(warehouse, {"s": ["a"] * 5}, items[1]).warnings


MANY = [f"c{index}" for index in range(1001)]

X, S = {"x": [1]}, {"s": ["a"]}
NO_NUMBERS, NO_TEXTS = {"x": pa.nulls(2, pa.float64())}, {"s": pa.nulls(2, pa.string())}

ROW_ERRORS = [
    (X, "ml.standard_scaler(y) over () as z", 'm.sql:3:20: TRANSFORM reads "y", which the query does not select'),
    (X, "*, x + 1 as X", '"X" is made twice by TRANSFORM, once by the star'),
    (X, "* except (z)", 'TRANSFORM reads "z", which the query does not select'),
    (S, "1 as a,\nml.max_abs_scaler(s) over () as z", "m.sql:4:4: ml.max_abs_scaler needs a number"),
    (S, "ml.bucketize(s, [1]) as z", 'ml.bucketize needs a number, and "s" is VARCHAR'),
    (X, "ml.one_hot_encoder(x) over () as z", "hint: cast it: cast(... as varchar)"),
    ({"x": [True]}, "ml.imputer(x, 'mean') over () as z", 'ml.imputer needs a number or text, and "x" is BOOLEAN'),
    (S, "ml.imputer(s, 'mean') over () as z", 'a text has no mean: ml.imputer("s")'),
    (S, "ml.imputer(s, 'median') over () as z", 'a text has no median: ml.imputer("s")'),
    (S, "ml.multi_hot_encoder(s) over () as z", "ml.multi_hot_encoder needs a list of texts"),
    (S, "ml.ngrams(s, 1) as z", "hint: split a text: string_split(..., ' ')"),
    (S, "ml.normalizer([s]) as z", "ml.normalizer needs a list of numbers"),
    (S, "ml.feature_cross(s) as z", "ml.feature_cross needs a struct(...) that is written out"),
    (S, "ml.feature_cross(struct(s)) as z", "ml.feature_cross takes 2 to 10 fields, not 1"),
    (S, "ml.feature_cross(struct(s, s as S)) as z", 'two fields of ml.feature_cross are called "s"'),
    (X, "ml.feature_cross(struct(x, x as y)) as z", 'ml.feature_cross needs a text, and "x" is BIGINT'),
    (X, "ml.polynomial_expand(struct(x, x + 1)) as z", "a field of ml.polynomial_expand has no name: "),
    (X, "ml.polynomial_expand(struct(x as a, x as b, x as a_b)) as z", 'two outputs would be called "a_b"'),
    (S, "1 as a,\nnosuch(s) as z", 'm.sql:4:1: "z" of TRANSFORM: '),
    (S, "1 as a,\nentropy(s) as z", 'm.sql:4:1: "z" of TRANSFORM: '),
    (S, "avg(cast(s as integer)) over () as z", "TRANSFORM fails on the training rows: Could not convert"),
    (NO_NUMBERS, "ml.imputer(x, 'mean') over () as z", 'ml.imputer("x") has nothing to fill with'),
    (NO_TEXTS, "ml.imputer(s, 'most_frequent') over () as z", 'ml.imputer("s") has nothing to fill with'),
    ({"s": [MANY]}, "ml.multi_hot_encoder(s, 9999, 0) over () as z", '"z" of TRANSFORM would become 1,001 columns'),
    ({"s": [MANY]}, "s", '"s" of TRANSFORM would become 1,001 columns, more than 1,000'),
    ({"x": [list(range(1001))]}, "x", '"x" of TRANSFORM would become 1,001 columns, more than 1,000'),
    (X, "x,\n{'a': [[x]]} as z", 'm.sql:4:1: "z.a" of TRANSFORM is BIGINT[][], which cannot be a feature'),
    (X, "map {'a': x} as z", '"z" of TRANSFORM is MAP(VARCHAR, BIGINT), which cannot be a feature'),
    (X, "{'a': x} as z, x as \"z.a\"", 'two features would be called "z.a"'),
    ({"label": [1]}, "label", "TRANSFORM leaves no features to train on"),
    ({"x": [math.inf, 1.0]}, "x + 1 as z", 'column "z" is not finite in 1 of 2 training rows'),
]


@pytest.mark.parametrize(("columns", "item", "says"), ROW_ERRORS, ids=[row[1] for row in ROW_ERRORS])
def test_what_the_rows_forbid_is_told(warehouse, columns, item, says):
    with pytest.raises((DefinitionError, DataError)) as caught:
        fitted(warehouse, columns, item)
    assert says in str(caught.value)
    assert str(caught.value).startswith("m.sql")


def test_too_many_columns_in_trees_are_refused(warehouse):
    item = "ml.one_hot_encoder(s, 'none', 9999, 0) over () as z"
    with pytest.raises(DataError, match='"z" of TRANSFORM would become 1,001 columns, more than 1,000'):
        fitted(warehouse, {"s": MANY}, item, family="trees")
    assert len(fitted(warehouse, {"s": MANY[1:]}, item, family="trees").features) == 1000


def test_too_many_categories_for_one_expression_are_refused(warehouse):
    columns = {"s": [f"c{index}" for index in range(10_001)]}
    with pytest.raises(DataError, match=r'ml.label_encoder\("s"\) has 10,001 categories, more than 10,000'):
        fitted(warehouse, columns, "ml.label_encoder(s, 32000, 0) over () as z")
    transform = fitted(warehouse, columns, "ml.label_encoder(s, 1000, 0) over () as z")
    assert sorted(applied(warehouse, transform)["z"])[9_000:9_003] == [0, 1, 2]


def test_names_of_every_kind_are_quoted(warehouse):
    columns = {'a "b"; drop': ["x'; drop table rows; --", "y"], "select": [1.0, 2.0]}
    transform = fitted(
        warehouse,
        columns,
        'ml.one_hot_encoder("a ""b""; drop", \'none\', 9, 0) over () as "over ()"',
        'ml.polynomial_expand(struct("select" as "it\'s")) as "p q"',
        family="trees",
    )
    found = encoded(warehouse, transform)
    assert list(found) == ["over ()[x'; drop table rows; --]", "over ()[y]", "p q.it's", "p q.it's_it's"]
    assert found["over ()[x'; drop table rows; --]"] == [1.0, 0.0]


SMUGGLED = [
    ("features", "expression", "(select max(x) from rows)", "a query inside an expression"),
    ("features", "expression", "1 from rows; drop table rows", "does not parse"),
    ("features", "expression", "read_text('/etc/passwd').content", "holds READ_TEXT"),
    ("features", "expression", '"rows"."x"', "a column of a relation"),
    ("features", "expression", '"other"', 'reads a column for "y" that is no input'),
    ("features", "expression", None, 'has no expression for "y"'),
    ("features", "expression", "random()", "changes from one moment to the next"),
    ("transform", "frozen", "unnest([1, 2])", "a function that makes rows"),
    ("transform", "frozen", "exists (select 1)", "a query inside an expression"),
    ("transform", "frozen", "sum(x) over ()", "a window"),
    ("transform", "frozen", '"other"', 'reads a column for "y" that is no input'),
    ("transform", "position", 1, "is out of order"),
    ("inputs", "position", 3, "is out of order"),
    ("inputs", "name", "z", 'reads a column for "y" that is no input'),
]


@pytest.mark.parametrize(("table", "column", "value", "says"), SMUGGLED)
def test_a_stored_expression_is_checked_before_it_is_used(warehouse, table, column, value, says):
    parameters = _stored(fitted(warehouse, {"x": [1.0, 2.0]}, "x + 1 as y"))
    tables = parameters.to_tables()
    assert Parameters.from_tables(tables) == parameters
    old = tables[table]
    changed = pa.array([value], old.schema.field(column).type)
    tables[table] = old.set_column(old.column_names.index(column), column, changed)
    with pytest.raises(ArtifactError) as caught:
        Parameters.from_tables(tables)
    assert says in str(caught.value)


def test_expressions_without_a_transform_are_refused(warehouse):
    tables = _stored(fitted(warehouse, {"x": [1.0, 2.0]}, "x + 1 as y")).to_tables()
    assert list(tables) == [
        *("model", "features", "categories", "coefficients", "expected", "transform", "inputs", "elsewhere")
    ]
    with pytest.raises(ArtifactError, match='the table "inputs" is missing'):
        Parameters.from_tables({name: table for name, table in tables.items() if name != "inputs"})
    with pytest.raises(ArtifactError, match='"features" of the parameters has expressions, but no TRANSFORM'):
        Parameters.from_tables({name: table for name, table in tables.items() if name != "transform"})


def written_there(tables):
    return transform_select(Parameters.from_tables(tables), exp.to_table("asked")).sql(dialect="bigquery")


def test_what_is_kept_for_the_other_engine_is_an_expression_of_one_row_of_the_inputs(warehouse):
    tables = _stored(fitted(warehouse, {"x": [1.0, 2.0]}, "x + 1 as y")).to_tables()
    (row, _) = tables["elsewhere"].to_pylist()
    assert (row["of"], row["position"], row["expression"], row["reason"]) == ("transform", 0, "`x` + 1.0e0", None)
    forged = {
        "holds a query": {"expression": "(select max(secret) from other)"},
        "reads a column": {"expression": "`z` + 1"},
        "is of expressions that are not there": {"position": 1},
        'table "elsewhere"': {"of": "features", "position": 0},
    }
    for told, changed in forged.items():
        rows = [{**row, **changed}, *tables["elsewhere"].to_pylist()[1:]]
        table = pa.Table.from_pylist(rows, tables["elsewhere"].schema)
        with pytest.raises(ArtifactError, match=told):
            written_there({**tables, "elsewhere": table})
    earlier = Parameters.from_tables({name: table for name, table in tables.items() if name != "elsewhere"})
    assert {one.elsewhere for one in (*earlier.transform, *earlier.features)} == {None}


def test_few_statements_whatever_is_asked_for(warehouse, monkeypatch):
    asked = []
    fetch = warehouse.fetch
    monkeypatch.setattr(warehouse, "fetch", lambda sql, parameters=None: asked.append(sql) or fetch(sql, parameters))
    columns = {f"x{index}": [1.0, 2.0] for index in range(20)} | {f"s{index}": ["a", "b"] for index in range(20)}
    items = [f"ml.standard_scaler(x{index}) over () as a{index}" for index in range(20)]
    items += [f"ml.label_encoder(s{index}, 9, 0) over () as b{index}" for index in range(20)]
    fitted(warehouse, columns, *items)
    # Two for the pass, and two of automatic preprocessing, which has no text left here.
    assert len(asked) == 3
