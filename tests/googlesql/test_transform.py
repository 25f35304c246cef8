"""TRANSFORM on the target: all preprocessing functions, frozen in BigQuery's SQL, give what DuckDB's give."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest
from sqlglot import exp

from tests.googlesql.warehouse import GoogleSqlWarehouse
from warehouse_ml.definition import read_definition
from warehouse_ml.errors import ArtifactError, DataError, DefinitionError
from warehouse_ml.preprocessing_calls import SIGNATURES
from warehouse_ml.scalar_sql import columns_in, parse_scalar
from warehouse_ml.scoring import Linear, Parameters, transform_select
from warehouse_ml.scoring.features import encode_select
from warehouse_ml.scoring.stored_sql import check_stored_sql, stored_sql
from warehouse_ml.training.transform import FittedTransform, Rows, expand_items, fit_transform
from warehouse_ml.warehouses.base import Relation, Warehouse
from warehouse_ml.warehouses.duckdb import DuckDBWarehouse

PROVES = ("training/transform/statistics.sql", "training/transform/frequencies.sql")
# derived_columns.sql is proved by the commands of test_training.py.

ROWS = Relation("asked rows")
TABLE = pa.table(
    {
        "x": pa.array([1.5, None, -3.0, math.nan, 1e300, 2.5, 2.5, 4.0, 9.0, 0.0]),
        "n": pa.array([1, 2, 3, 4, 5, 6, 7, 8, 9, None]),
        "c": pa.array(["a", "b", "it's", None, "b", "b", "é\\", "a", "b", ""]),
        "words": pa.array(
            [["a", "b"], ["b", None, "c"], None, [], ["c", "c", "a"], ["z"], ["a"], ["b"], ["a", "b", "c", "d"], ["x"]]
        ),
        "nums": pa.array(
            [[3.0, 4.0], [0.0, 0.0], None, [], [1e200, 1e200], [1.0, -2.0], [1.0], [5.0], [2.0, 2.0, 1.0], [-1.0]]
        ),
        "row": pa.array(range(10)),
        "split": pa.array(["train"] * 9 + ["eval"]),
    }
)
# What is trained by trees, as a linear model refuses numbers this large.
TREES = ("polynomial_expand", "normalizer")
ITEMS = (
    "ml.standard_scaler(n) over () as made",
    "ml.min_max_scaler(n) over () as made",
    "ml.max_abs_scaler(n) over () as made",
    "ml.robust_scaler(n) over () as made",
    "ml.robust_scaler(n, [10, 90], false, true) over () as made",
    "ml.imputer(n, 'mean') over () as made",
    "ml.imputer(n, 'median') over () as made",
    "ml.imputer(n, 'most_frequent') over () as made",
    "ml.imputer(c, 'most_frequent') over () as made",
    "ml.quantile_bucketize(n, 3) over () as made",
    "ml.quantile_bucketize(n, 4, 'bucket_ranges') over () as made",
    "ml.one_hot_encoder(c, 'none', 32000, 0) over () as made",
    "ml.one_hot_encoder(c, 'most_frequent', 3, 1) over () as made",
    "ml.label_encoder(c, 100, 0) over () as made",
    "ml.multi_hot_encoder(words, 100, 0) over () as made",
    "ml.bucketize(x, [0.0, 2.5, 5.0]) as made",
    "ml.bucketize(x, [0.0, 2.5, 5.0], true, 'bucket_ranges_json') as made",
    "ml.hash_bucketize(c, 7) as made",
    "ml.feature_cross(struct(c, cast(n as {text}) as n)) as made",
    "ml.polynomial_expand(struct(n, n / 7 as part), 3) as made",
    "ml.ngrams(words, [1, 3], '-') as made",
    "ml.normalizer(nums) as made",
    "ml.normalizer(nums, 1) as made",
    "ml.normalizer(nums, 3.0) as made",
    "ml.normalizer(nums, 0) as made",
    "ml.normalizer(nums, cast('+inf' as {double})) as made",
    "ml.min_max_scaler(ml.imputer(n, 'mean') over ()) over () as made",
    "n * 2 + avg(n) over () - min(n) over () as made",
    "struct(n as one, c as other) as made",
    "words as made",
)


@pytest.fixture(scope="module")
def warehouses() -> Iterator[tuple[DuckDBWarehouse, GoogleSqlWarehouse]]:
    ours, theirs = DuckDBWarehouse(threads=1), GoogleSqlWarehouse()
    for warehouse in (ours, theirs):
        warehouse.load(ROWS, TABLE)
    yield ours, theirs
    ours.close()


def fitted(warehouse: Warehouse, item: str) -> FittedTransform:
    """Freeze an item over the training rows."""
    names = (
        {"text": "varchar", "double": "double"}
        if warehouse.engine == "duckdb"
        else {"text": "string", "double": "float64"}
    )
    for name, written in names.items():
        item = item.replace(f"{{{name}}}", written)
    text = f"create model m\ntransform (\n{item}\n)\noptions (model_type = 'linear_reg') as\nselect 1 as one"
    definition = read_definition(text, name="m", place="m.sql", engine=warehouse.engine)
    query = exp.select("*").from_(exp.table_(ROWS.name, quoted=True)).sql(dialect=warehouse.engine)
    types = {name: kind for name, kind in warehouse.columns(query).items() if name not in ("row", "split")}
    rows = Rows(warehouse, ROWS, types, "row", "split", "m.sql")
    family = "trees" if any(f"ml.{name}" in item for name in TREES) else "linear"
    return fit_transform(rows, expand_items(definition.transform, types, "m.sql"), ["label"], family, {})  # type: ignore[arg-type]


def applied(warehouse: Warehouse, transform: FittedTransform) -> list[list[dict[str, Any]]]:
    """Return the outputs, and the numbers that the model is given."""
    source = exp.table_(ROWS.name, quoted=True)
    parameters = Parameters(
        "LINEAR_REG", "regression", "label", "DOUBLE", (), transform.features, transform=transform.outputs
    )
    queries = (transform_select(parameters, source, ["row"]), encode_select(transform.features, source, ["row"]))
    return [warehouse.fetch(query.order_by("row").sql(dialect=warehouse.engine)).to_pylist() for query in queries]


def same(one: Any, other: Any) -> bool:
    """Whether two values are the same; BigQuery keeps no list that is null apart from one without elements."""
    if isinstance(one, dict):
        return isinstance(other, dict) and one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) or isinstance(other, list):
        left, right = one or [], other or []
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(one, float) and isinstance(other, float):
        return bool(one == pytest.approx(other, rel=1e-9, abs=1e-12, nan_ok=True))
    return bool(one == other)


@pytest.mark.parametrize("item", ITEMS)
def test_every_function_gives_what_duckdb_gives(
    warehouses: tuple[DuckDBWarehouse, GoogleSqlWarehouse], item: str
) -> None:
    transforms = [fitted(warehouse, item) for warehouse in warehouses]
    assert [feature.name for feature in transforms[0].features] == [feature.name for feature in transforms[1].features]
    assert {output.dialect for output in transforms[1].outputs} == {"bigquery"}
    found = [applied(warehouse, transform) for warehouse, transform in zip(warehouses, transforms, strict=True)]
    for ours, theirs in zip(*found, strict=True):
        for one, other in zip(ours, theirs, strict=True):
            assert same(one, other)
    assert any(value not in (None, 0.0, []) for row in found[1][1] for name, value in row.items() if name != "row")
    # Each is the same where it was not trained.
    for warehouse, transform in zip(warehouses[::-1], transforms, strict=True):
        assert all(one.elsewhere and one.elsewhere.expression for one in (*transform.outputs, *transform.features))
        for ours, theirs in zip(found[0], applied(warehouse, transform), strict=True):
            for one, other in zip(ours, theirs, strict=True):
                assert same(one, other)


def test_every_function_is_among_them() -> None:
    assert {name for name in SIGNATURES if not any(f"ml.{name}(" in item for item in ITEMS)} == set()


def test_an_expression_is_in_the_language_of_its_target(
    warehouses: tuple[DuckDBWarehouse, GoogleSqlWarehouse],
) -> None:
    _, theirs = warehouses
    query = "array_length(array(select word from unnest(words) as word where word > 'a'))"
    (output,) = fitted(theirs, f"coalesce(safe_divide(n, 0), {query}) as made").outputs
    assert columns_in(parse_scalar(output.frozen, "bigquery")) == ["n", "words"]
    assert output.frozen.lower().startswith(
        "coalesce(safe_divide(`n`, 0), array_length(array(select word from unnest(`words`)"
    )
    with pytest.raises(ValueError, match="query inside"):
        parse_scalar(query)


@pytest.mark.parametrize(
    "text",
    [
        "(select max(secret) from other)",
        "array(select x from unnest(words) as x, other)",
        "exists(select 1 from other)",
        "sum(n)",
        "array(select session_user() from unnest(words) as x)",
        "(select as struct * from unnest(words))",
        "array(select x from unnest(array(select y from `p.d.other`)) as x)",
        "generate_uuid()",
        "current_date()",
    ],
)
def test_what_is_more_than_one_row_of_bigquerys_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="holds"):
        parse_scalar(text, "bigquery")


def test_a_function_that_needs_other_columns_says_so_in_the_targets_words(
    warehouses: tuple[DuckDBWarehouse, GoogleSqlWarehouse],
) -> None:
    with pytest.raises(DefinitionError, match="needs a number, and `c` is STRING"):
        fitted(warehouses[1], "ml.standard_scaler(c) over () as made")


def test_an_expression_of_one_engine_is_not_run_by_another(
    warehouses: tuple[DuckDBWarehouse, GoogleSqlWarehouse],
) -> None:
    ours, theirs = (fitted(warehouse, "upper(c) as made") for warehouse in warehouses)
    with pytest.raises(DataError, match="trained on BigQuery, and DuckDB does not read all of it alike: upper"):
        applied(warehouses[0], theirs)
    with pytest.raises(DataError, match="trained on DuckDB"):
        encode_select(ours.features, exp.table_(ROWS.name, quoted=True)).sql(dialect="bigquery")
    # As versions of earlier releases are.
    earlier = [replace(feature, elsewhere=None) for feature in ours.features]
    with pytest.raises(DataError, match="were trained on DuckDB and are in its SQL, which BigQuery does not run"):
        encode_select(earlier, exp.table_(ROWS.name, quoted=True)).sql(dialect="bigquery")


def test_the_language_is_kept_with_the_version(warehouses: tuple[DuckDBWarehouse, GoogleSqlWarehouse]) -> None:
    for warehouse in warehouses:
        made = fitted(warehouse, "ml.standard_scaler(n) over () as made")
        linear = Linear((0.5,), (((2.0,),),), ((0.0,),))
        whole = Parameters(
            "LINEAR_REG",
            "regression",
            "y",
            "DOUBLE",
            (),
            made.features,
            linear,
            transform=made.outputs,
            input_columns=made.inputs,
        )
        tables = whole.to_tables()
        assert ("language" in tables) == (warehouse.engine == "bigquery")
        assert Parameters.from_tables(tables) == whole
        text = stored_sql(whole, "AUTO")
        assert ("`" in text) == (warehouse.engine == "bigquery")
        check_stored_sql(text, whole, "scoring.sql")
        if "language" in tables:
            tables["language"] = pa.table({"dialect": ["cobol"]})
            with pytest.raises(ArtifactError, match="cobol"):
                Parameters.from_tables(tables)
