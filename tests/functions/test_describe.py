"""Statistics of columns against a plain count in Python."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warehouse_ml.errors import DataError, DefinitionError
from warehouse_ml.functions.call import Call, Context, Input
from warehouse_ml.functions.describe import describe_data
from warehouse_ml.registry import Registry
from warehouse_ml.warehouses.base import Relation
from warehouse_ml.warehouses.duckdb import DuckDBWarehouse

from .conftest import AS_OF

TYPES = {
    "name": "VARCHAR",
    "num_rows": "BIGINT",
    "num_nulls": "BIGINT",
    "num_zeros": "BIGINT",
    "min": "VARCHAR",
    "max": "VARCHAR",
    "mean": "DOUBLE",
    "stddev": "DOUBLE",
    "median": "DOUBLE",
    "quantiles": "DOUBLE[]",
    "unique": "BIGINT",
    "avg_string_length": "DOUBLE",
    "num_values": "BIGINT",
    "top_values": 'STRUCT("value" VARCHAR, count BIGINT)[]',
    "min_array_length": "BIGINT",
    "max_array_length": "BIGINT",
    "avg_array_length": "DOUBLE",
    "total_array_length": "BIGINT",
    "array_length_quantiles": "BIGINT[]",
    "dimension": "BIGINT",
}


def quantiles(values: list, n: int) -> list | None:
    """Return the values at the ranks ceil(i * rows / n), the first at least."""
    ordered = sorted(values)
    return [ordered[max(-(-i * len(ordered) // n), 1) - 1] for i in range(n + 1)] or None if ordered else None


def numbers(values: list, n: int) -> dict[str, Any]:
    return {
        "num_zeros": values.count(0),
        "min": None if not values else str(min(values)),
        "max": None if not values else str(max(values)),
        "mean": statistics.fmean(values) if values else None,
        "stddev": statistics.stdev(values) if len(values) > 1 else None,
        "median": statistics.median(values) if values else None,
        "quantiles": quantiles(values, n),
        "num_values": len(values),
    }


def texts(values: list[str], top_k: int) -> dict[str, Any]:
    ranked = sorted(Counter(values).items(), key=lambda item: (-item[1], item[0].encode()))[:top_k]
    return {
        "min": min(values, key=str.encode, default=None),
        "max": max(values, key=str.encode, default=None),
        "unique": len(set(values)),
        "avg_string_length": statistics.fmean(map(len, values)) if values else None,
        "num_values": len(values),
        "top_values": [{"value": value, "count": count} for value, count in ranked] or None,
    }


def lengths(values: list[list | None], n: int) -> dict[str, Any]:
    known = [len(value) for value in values if value is not None]
    return {
        "min_array_length": min(known, default=None),
        "max_array_length": max(known, default=None),
        "avg_array_length": statistics.fmean(known) if known else None,
        "total_array_length": sum(known) if known else None,
        "array_length_quantiles": quantiles(known, n),
    }


def row(name: str, values: list, **told: Any) -> dict[str, Any]:
    nulls = sum(value is None or (isinstance(value, float) and not math.isfinite(value)) for value in values)
    empty: dict[str, Any] = dict.fromkeys(TYPES)
    return {**empty, "name": name, "num_rows": len(values), "num_nulls": nulls, **told}


def close(value: Any) -> Any:
    return pytest.approx(value, rel=1e-9, abs=1e-9) if isinstance(value, float) else value


def assert_rows(found: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    assert [r["name"] for r in found] == [r["name"] for r in expected]
    for one, other in zip(found, expected, strict=True):
        assert one == {key: close(value) for key, value in other.items()}


@pytest.fixture(scope="module")
def warehouse():
    warehouse = DuckDBWarehouse(threads=1)
    yield warehouse
    warehouse.close()


def described(warehouse, root, sql: str, **chosen: Any) -> list[dict[str, Any]]:
    call = Call("describe_data", "q.sql:1", inputs=(Input(sql, sql),), settings=chosen)
    return warehouse.fetch(describe_data(call, Context(warehouse, Registry(root), AS_OF))).to_pylist()


real = st.one_of(st.none(), st.sampled_from([0.0, 1.5, -2.25, math.nan, math.inf, 1e6]), st.integers(0, 9).map(float))
whole = st.one_of(st.none(), st.integers(-(2**60), 2**60), st.integers(-1, 1))
text = st.one_of(st.none(), st.sampled_from(["", "a", "b", "ab", "é", "10", "9"]))
record = st.tuples(real, whole, text, st.one_of(st.none(), st.booleans()))
SCHEMA = pa.schema([("r", pa.float64()), ("w", pa.int64()), ("t", pa.string()), ("b", pa.bool_())])


@settings(max_examples=30)
@given(st.lists(record, max_size=40), st.integers(1, 12), st.integers(1, 3))
def test_scalars_by_a_plain_count(warehouse, tmp_path_factory, rows, n, top_k):
    columns = list(zip(*rows, strict=True)) if rows else [()] * 4
    r, w, t, b = (list(column) for column in columns)
    warehouse.load(Relation("rows"), pa.table([r, w, t, b], schema=SCHEMA))
    found = described(warehouse, tmp_path_factory.getbasetemp(), "from rows", num_quantiles=n, top_k=top_k)
    finite = [value for value in r if value is not None and math.isfinite(value)]
    known = [value for value in w if value is not None]
    expected_whole = {**numbers([float(value) for value in known], n), "num_zeros": known.count(0)}
    if known:
        expected_whole |= {"min": str(min(known)), "max": str(max(known))}
    assert_rows(
        found,
        [
            row("r", r, **numbers(finite, n)),
            row("w", w, **expected_whole),
            row("t", t, **texts([value for value in t if value is not None], top_k)),
            row("b", b, **texts([str(value).lower() for value in b if value is not None], top_k)),
        ],
    )


array = st.one_of(st.none(), st.lists(st.one_of(st.none(), st.integers(0, 3)), max_size=4))
names = st.one_of(st.none(), st.lists(text, max_size=3))
sparse = st.lists(st.tuples(st.integers(0, 9), st.sampled_from([0.0, 2.5, None])), max_size=3)


@settings(max_examples=30)
@given(st.lists(st.tuples(array, names, sparse), max_size=12), st.integers(1, 5))
def test_arrays_by_their_elements(warehouse, tmp_path_factory, rows, n):
    pair = pa.struct([("i", pa.int64()), ("v", pa.float64())])
    schema = pa.schema([("a", pa.list_(pa.int64())), ("t", pa.list_(pa.string())), ("s", pa.list_(pair))])
    columns = list(zip(*rows, strict=True)) if rows else [()] * 3
    a, t, s = (list(column) for column in columns)
    pairs = [[{"i": i, "v": v} for i, v in value] for value in s]
    warehouse.load(Relation("rows"), pa.table([a, t, pairs], schema=schema))
    chosen = {"num_quantiles": n, "num_array_length_quantiles": n, "top_k": 2}
    found = described(warehouse, tmp_path_factory.getbasetemp(), "from rows", **chosen)
    elements = [e for value in a for e in value or [] if e is not None]
    expected = {**numbers([float(e) for e in elements], n)}
    if elements:
        expected |= {"min": str(min(elements)), "max": str(max(elements))}
    indexes = [i for value in s for i, _ in value]
    assert_rows(
        found,
        [
            row("a", a, **expected, **lengths(a, n)),
            row("t", t, **texts([e for value in t for e in value or [] if e is not None], 2), **lengths(t, n)),
            row(
                *("s", s),
                **numbers([v for value in s for _, v in value if v is not None], n),
                **lengths(s, n),
                dimension=max(indexes) + 1 if indexes else None,
            ),
        ],
    )


@pytest.mark.parametrize("n_rows", [1, 99, 100, 700])
def test_quantiles_are_exact_where_shares_are_not(lab, n_rows):
    """7 / 100 * 100 is a hair above 7 in doubles."""
    lab.load("rows", {"x": list(range(n_rows))})
    (found,) = lab.call(describe_data, "from rows", num_quantiles=100).to_pylist()
    assert found["quantiles"] == quantiles(list(range(n_rows)), 100)


def test_columns_and_types(lab):
    for sql in ("select 1 as x", "select 'a' as x", "select [1] as x", "select 1 as x where false"):
        assert lab.columns(describe_data, sql) == TYPES
        assert list(lab.columns(describe_data, sql)) == list(TYPES)


def test_structs_are_described_by_their_fields_and_the_rest_as_text(lab):
    sql = (
        "select {'a': 1, 'b c': {'d': 'x', 'e': [1.5, 2.5]}} as s, map {'k': 1} as m, [['y']] as l, "
        "date '2024-01-02' as d, "
        "timestamptz '2024-01-02 03:04:05+00' as at, 1.50::decimal(5, 2) as n, 5::hugeint as h, '1'::json as j, "
        "[{'p': 'q', 'r': 1}] as o, 'z'::blob as \"element\""
    )
    found = {row["name"]: row for row in lab.call(describe_data, sql).to_pylist()}
    assert list(found) == ["s.a", "s.b c.d", "s.b c.e", "m", "l", "d", "at", "n", "h", "j", "o", "element"]
    assert {name for name, row in found.items() if row["mean"] is not None} == {"s.a", "s.b c.e", "n", "h"}
    assert [found[name]["min"] for name in ("s.a", "s.b c.e", "n", "h", "d", "m", "l", "o")] == [
        *("1", "1.5", "1.50", "5", "2024-01-02", "{k=1}", "[y]", "{'p': q, 'r': 1}"),
    ]
    assert found["at"]["top_values"] == [{"value": "2024-01-02 03:04:05+00", "count": 1}]
    assert found["s.b c.e"]["total_array_length"] == 2


def test_many_columns_are_read_in_batches_and_stay_in_order(lab):
    names = [f"{'n' if k % 2 else 'c'}{k}" for k in range(250)]
    sql = "select " + ", ".join(f"{k} as {n}" if k % 2 else f"'{k}' as {n}" for k, n in enumerate(names))
    found = lab.call(describe_data, sql)
    assert found["name"].to_pylist() == names
    assert found["min"].to_pylist() == [str(k) for k in range(250)]


def test_a_call_reads_what_is_around_it(lab):
    lab.load("rows", {"x": [1, 2]})
    around = "with columns as (select * from rows), totals as (select 5 as y)"
    sql = "select * from columns, totals"
    text = lab.text(describe_data, Input(sql=sql, alone=f"{around} {sql}"))
    lab.warehouse.run(f"create view v as {around} select name, mean from ({text})")
    assert lab.warehouse.fetch("from v").to_pylist() == [{"name": "x", "mean": 1.5}, {"name": "y", "mean": 5.0}]


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"num_quantiles": 0}, "q.sql:1: num_quantiles = 0 in ml.describe_data is out of range"),
        ({"top_k": 10_001}, "q.sql:1: top_k = 10001 in ml.describe_data is out of range"),
        ({"top_k": "3"}, "q.sql:1: top_k = '3' in ml.describe_data"),
        ({"topk": 3}, 'q.sql:1: ml.describe_data has no setting "topk"'),
    ],
)
def test_mistakes_are_named(lab, chosen, message):
    with pytest.raises((DataError, DefinitionError)) as error:
        lab.text(describe_data, "select 1 as x", **chosen)
    assert str(error.value).startswith(message)
    assert "hint:" in str(error.value)
