"""Point-in-time features against a plain walk through the rows."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warehouse_ml.errors import DataError, DefinitionError
from warehouse_ml.functions.call import Call, Context, Input
from warehouse_ml.functions.features_at_time import entity_features_at_time, features_at_time
from warehouse_ml.registry import Registry
from warehouse_ml.warehouses.base import Relation
from warehouse_ml.warehouses.duckdb import DuckDBWarehouse

from .conftest import AS_OF

TIMES = [dt.datetime(2024, 1, 1, hour, tzinfo=dt.UTC) for hour in range(5)]
UTC = pa.timestamp("us", tz="UTC")
FEATURES = pa.schema(
    [("f", pa.int64()), ("Entity_ID", pa.string()), ("feature_timestamp", UTC), ("odd name", pa.string())]
)
ASKED = pa.schema([("entity_id", pa.string()), ("label", pa.bool_()), ("time", UTC)])

entity = st.sampled_from(["a", "b", "c", None])
time = st.sampled_from([*TIMES, None])
features = st.lists(
    st.tuples(st.sampled_from([1, 2, None]), entity, time, st.sampled_from(["x", "y", None])), max_size=12
)
asked = st.lists(st.tuples(entity, st.booleans(), time), max_size=8)


def latest(rows: list[tuple], who: Any, when: Any, num_rows: int, ignore_nulls: bool) -> list[tuple]:
    """Return the last rows of one entity as (f, entity, time, odd name), the latest first."""
    if who is None or when is None:
        return []
    known = [row for row in rows if row[1] == who and row[2] is not None and row[2] <= when]
    known.sort(key=lambda row: (row[2], row[0] or 0, row[3] or ""))
    if ignore_nulls:
        filled = []
        for position in range(len(known)):
            so_far = known[: position + 1]
            last = [next((row[i] for row in reversed(so_far) if row[i] is not None), None) for i in (0, 3)]
            filled.append((last[0], who, known[position][2], last[1]))
        known = filled
    return known[::-1][:num_rows]


@pytest.fixture(scope="module")
def warehouse():
    warehouse = DuckDBWarehouse(threads=1)
    yield warehouse
    warehouse.close()


def run(warehouse, tmp_path, function, *inputs: str, **chosen: Any) -> list[tuple]:
    context = Context(warehouse, Registry(tmp_path), AS_OF)
    call = Call(function.__name__, "q.sql:1", inputs=tuple(Input(sql, sql) for sql in inputs), settings=chosen)
    return [tuple(row.values()) for row in warehouse.fetch(function(call, context)).to_pylist()]


def in_order(rows: list[tuple]) -> list[str]:
    return sorted(map(repr, rows))


def table(schema: pa.Schema, rows: list[tuple]) -> pa.Table:
    return pa.Table.from_pylist([dict(zip(schema.names, row, strict=True)) for row in rows], schema=schema)


def utc(rows: list[tuple]) -> list[tuple]:
    return [tuple(v.astimezone(dt.UTC) if isinstance(v, dt.datetime) else v for v in row) for row in rows]


@settings(max_examples=60)
@given(features, st.sampled_from(TIMES), st.integers(1, 3), st.booleans())
def test_one_instant_for_all(warehouse, tmp_path_factory, rows, when, num_rows, ignore_nulls):
    warehouse.load(Relation("f"), table(FEATURES, rows))
    found = run(
        *(warehouse, tmp_path_factory.getbasetemp(), features_at_time, "select * from f"),
        time=f"timestamptz '{when}'",
        num_rows=num_rows,
        ignore_feature_nulls=ignore_nulls,
    )
    expected = []
    for who in {row[1] for row in rows} - {None}:
        expected += latest(rows, who, when, num_rows, ignore_nulls) or [(None, who, None, None)]
    assert in_order(utc(found)) == in_order(expected)


@settings(max_examples=80)
@given(features, asked, st.integers(1, 3), st.booleans())
def test_an_instant_for_each(warehouse, tmp_path_factory, rows, requests, num_rows, ignore_nulls):
    warehouse.load(Relation("f"), table(FEATURES, rows))
    warehouse.load(Relation("a"), table(ASKED, requests))
    found = run(
        *(warehouse, tmp_path_factory.getbasetemp(), entity_features_at_time, "select * from f", "select * from a"),
        num_rows=num_rows,
        ignore_feature_nulls=ignore_nulls,
    )
    expected = []
    for who, _, when in requests:
        matches = latest(rows, who, when, num_rows, ignore_nulls) or [(None, who, None, None)]
        expected += [(*match, when) for match in matches]
    assert in_order(utc(found)) == in_order(expected)


def test_columns_and_types(lab):
    lab.load("f", table(FEATURES, []))
    lab.load("a", table(ASKED, []))
    types = {
        "f": "BIGINT",
        "Entity_ID": "VARCHAR",
        "feature_timestamp": "TIMESTAMP WITH TIME ZONE",
        "odd name": "VARCHAR",
    }
    for chosen in ({}, {"ignore_feature_nulls": True}, {"num_rows": 2}):
        assert lab.columns(features_at_time, "select * from f", **chosen) == types
        found = lab.columns(entity_features_at_time, "select * from f", "select * from a", **chosen)
        assert found == {**types, "time": "TIMESTAMP WITH TIME ZONE"}
        assert list(found) == [*types, "time"]


def test_the_clock_is_the_instant_by_default(lab):
    lab.load("f", table(FEATURES, [(1, "a", AS_OF, "x"), (2, "a", AS_OF + dt.timedelta(seconds=1), "x")]))
    assert lab.call(features_at_time, "select * from f")["f"].to_pylist() == [1]
    later = "'2024-03-01 00:00:01+00' -- a text and a remark"
    assert lab.call(features_at_time, "select * from f -- and all", time=later)["f"].to_pylist() == [2]


def test_timestamps_without_a_zone_are_instants_in_utc(lab):
    lab.load("f", table(FEATURES, [(1, "a", TIMES[0], "x"), (2, "a", TIMES[2], "x")]))
    lab.load("a", table(ASKED, [("a", True, TIMES[1])]))
    naive = "select * replace (feature_timestamp::timestamp as feature_timestamp) from f"
    asked = "select * replace (time::timestamp as time) from a"
    assert lab.columns(features_at_time, naive)["feature_timestamp"] == "TIMESTAMP"
    at = {"time": f"timestamptz '{TIMES[1]}'"}
    assert lab.call(features_at_time, naive, **at)["f"].to_pylist() == [1]
    for features, entities in ((naive, "from a"), ("from f", asked), (naive, asked)):
        for num_rows in (1, 2):
            found = lab.call(entity_features_at_time, features, entities, num_rows=num_rows)
            assert found["f"].to_pylist() == [1]


def test_a_table_without_features_has_entities_and_instants(lab):
    rows = table(FEATURES, [(1, "a", TIMES[0], "x"), (2, "a", TIMES[0], "x")]).select([1, 2])
    lab.load("f", rows)
    lab.load("a", table(ASKED, [("a", True, TIMES[1])]))
    assert lab.call(entity_features_at_time, "select * from f", "select * from a").num_rows == 1
    assert lab.call(features_at_time, "select * from f").num_rows == 1


def test_a_call_may_read_a_call(lab):
    """The names inside of one must not be taken for those inside of the other."""
    lab.load("f", table(FEATURES, [(1, "a", TIMES[0], None), (2, "a", TIMES[2], "x")]))
    lab.load("a", table(ASKED, [("a", True, TIMES[3])]))
    inner = lab.text(features_at_time, "select * from f", time=f"timestamptz '{TIMES[1]}'")
    outer = lab.call(entity_features_at_time, inner, "select * from a").to_pylist()
    assert [row["f"] for row in outer] == [1]
    around = "with known as (select * from f), asked as (select * from a)"
    known = Input(sql="select * from known", alone=f"{around} select * from known")
    asked = Input(sql="select * from asked", alone=f"{around} select * from asked")
    one = lab.text(features_at_time, known, num_rows=2)
    each = lab.text(entity_features_at_time, known, asked, num_rows=2)
    for text in (one, each):
        found = lab.warehouse.fetch(f"{around}, latest as ({text}) select f from latest order by f")
        assert found["f"].to_pylist() == [1, 2]


GOOD = "select 'a' as entity_id, now() as feature_timestamp, 1 as x"
ASK = "select 'a' as entity_id, now() as time"


@pytest.mark.parametrize(
    ("function", "inputs", "chosen", "message"),
    [
        (features_at_time, ["select 1 as entity"], {}, 'q.sql:1: no column "entity_id" in the features'),
        (features_at_time, ["select 'a' as entity_id"], {}, 'q.sql:1: no column "feature_timestamp" in the features'),
        (
            features_at_time,
            ["select 'a' as entity_id, date '2024-01-01' as feature_timestamp"],
            {},
            'q.sql:1: "feature_timestamp" in the features is DATE, not a timestamp',
        ),
        (features_at_time, [GOOD], {"num_rows": 0}, "q.sql:1: num_rows = 0 in ml.features_at_time is out of range"),
        (features_at_time, [GOOD], {"num_rows": 1.5}, "q.sql:1: num_rows = 1.5 in ml.features_at_time"),
        (features_at_time, [GOOD], {"ignore_feature_nulls": 1}, "q.sql:1: ignore_feature_nulls = 1 in"),
        (features_at_time, [GOOD], {"nun_rows": 1}, 'q.sql:1: ml.features_at_time has no setting "nun_rows"'),
        (entity_features_at_time, [GOOD, ASK], {"time": "now()"}, "q.sql:1: ml.entity_features_at_time has no setting"),
        (entity_features_at_time, [GOOD, "select 1 as time"], {}, 'q.sql:1: no column "entity_id" in the entities'),
        (
            entity_features_at_time,
            [GOOD, "select 'a' as entity_id, now() as feature_timestamp"],
            {},
            'q.sql:1: no column "time" in the entities',
        ),
        (
            entity_features_at_time,
            [GOOD, "select 1 as entity_id, now() as time"],
            {},
            'q.sql:1: "entity_id" is INTEGER in the entities and VARCHAR in the features',
        ),
        (entity_features_at_time, [f"{GOOD}, 2 as time", ASK], {}, 'q.sql:1: the features have a column "time"'),
    ],
)
def test_mistakes_are_named(lab, function, inputs, chosen, message):
    with pytest.raises((DataError, DefinitionError)) as error:
        lab.text(function, *inputs, **chosen)
    assert str(error.value).startswith(message)
    assert "hint:" in str(error.value) or "has:" in str(error.value)
