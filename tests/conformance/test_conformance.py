"""The promises of the `Warehouse` protocol, kept by every adapter."""

from __future__ import annotations

import datetime as dt
import math
import struct
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.conformance.adapters import Engine
from warehouse_ml.errors import SqlError, WarehouseError, WmlError
from warehouse_ml.scoring.features import kind_of
from warehouse_ml.tables import add_columns, all_of, ensure_tables
from warehouse_ml.templates import statement
from warehouse_ml.warehouses.base import Relation, Warehouse, wml_table

NOON = dt.datetime(2024, 2, 29, 12, 30, 15, 123456, tzinfo=dt.UTC)
PEOPLE = Relation("people")

ROWS = pa.table(
    {
        "id": pa.array([1, 2, 3], pa.int64()),
        "name": ["Ann", 'O\'Neil "x" `y` \\ \n é 中', None],
        "score": [0.1, None, -1.5],
        "is_new": [True, False, None],
        "seen_at": pa.array([NOON, dt.datetime(1, 1, 1, tzinfo=dt.UTC), None], pa.timestamp("us", "UTC")),
        "tags": [["a", "b"], [], ["c"]],
    }
)


def make_schema(warehouse: Warehouse) -> None:
    warehouse.run(statement("warehouse_ml.warehouses", "schema.sql", warehouse.engine))


def rows(warehouse: Warehouse, relation: Relation, key: str = "id") -> list[dict[str, object]]:
    return warehouse.fetch(all_of(warehouse, relation)).sort_by(key).to_pylist()


def count(warehouse: Warehouse, relation: Relation) -> int:
    return warehouse.fetch(all_of(warehouse, relation)).num_rows


class TestRows:
    def test_what_is_loaded_is_fetched(self, warehouse: Warehouse) -> None:
        warehouse.load(PEOPLE, ROWS)
        assert rows(warehouse, PEOPLE) == ROWS.to_pylist()

    def test_it_is_there_for_the_next_connection(self, engine: Engine) -> None:
        engine.open().load(PEOPLE, ROWS)
        assert rows(engine.open(), PEOPLE) == ROWS.to_pylist()

    def test_doubles_come_back_bit_for_bit(self, warehouse: Warehouse) -> None:
        values = [0.1, 1 / 3, -0.0, 5e-324, 1.7976931348623157e308, 2.0**53 + 2, 1e-5, -1e22, math.pi, math.inf]
        warehouse.load(PEOPLE, pa.table({"id": range(len(values)), "x": values}))
        found = [row["x"] for row in rows(warehouse, PEOPLE)]
        assert [struct.pack("<d", value) for value in found] == [struct.pack("<d", value) for value in values]

    def test_not_a_number_stays_one(self, warehouse: Warehouse) -> None:
        warehouse.load(PEOPLE, pa.table({"id": [1], "x": [math.nan]}))
        assert math.isnan(rows(warehouse, PEOPLE)[0]["x"])

    def test_whole_numbers_of_64_bits(self, warehouse: Warehouse) -> None:
        values = [-(2**63), 2**63 - 1, 0]
        warehouse.load(PEOPLE, pa.table({"id": range(3), "n": pa.array(values, pa.int64())}))
        assert [row["n"] for row in rows(warehouse, PEOPLE)] == values

    def test_instants_are_in_utc_whatever_their_zone(self, warehouse: Warehouse) -> None:
        zone = dt.timezone(dt.timedelta(hours=5, minutes=30))
        at = pa.array([NOON.astimezone(zone)], pa.timestamp("us", "Asia/Kolkata"))
        warehouse.load(PEOPLE, pa.table({"id": [1], "at": at}))
        table = warehouse.fetch(all_of(warehouse, PEOPLE))
        assert table["at"].to_pylist() == [NOON]
        assert table.schema.field("at").type == pa.timestamp("us", tz="UTC")

    def test_temporary_tables_are_taken_away_together(self, warehouse: Warehouse) -> None:
        warehouse.load(PEOPLE, ROWS)
        for name in ("scratch_a", "scratch_b", "people"):
            warehouse.load(Relation(name), ROWS.slice(0, 1), temporary=True)
        with warehouse.transaction():
            # One of them twice, and one that was never there.
            warehouse.drop_temporary(["scratch_a", "nowhere", "people", "scratch_a"])
        warehouse.drop_temporary([])
        assert count(warehouse, Relation("scratch_b")) == 1
        # The table of that name is another's.
        assert count(warehouse, PEOPLE) == 3
        with pytest.raises(WmlError):
            count(warehouse, Relation("scratch_a"))

    def test_a_load_takes_the_place_of_all_that_was_there(self, warehouse: Warehouse) -> None:
        warehouse.load(PEOPLE, ROWS)
        warehouse.load(PEOPLE, pa.table({"other": ["x"]}))
        assert rows(warehouse, PEOPLE, "other") == [{"other": "x"}]

    def test_no_rows_still_make_a_table(self, warehouse: Warehouse) -> None:
        warehouse.load(PEOPLE, ROWS.slice(0, 0))
        found = warehouse.fetch(all_of(warehouse, PEOPLE))
        assert (found.num_rows, found.column_names) == (0, ROWS.column_names)

    def test_words_of_the_language_are_names_like_others(self, engine: Engine) -> None:
        warehouse = engine.open()
        warehouse.load(Relation("group"), pa.table({"select": [1], "order": [2]}))
        sql = engine.sql(
            "select {{ 'order' | ident }} as n from {{ 'group' | ident }} where {{ 'select' | ident }} = 1"
        )
        assert warehouse.fetch(sql).to_pylist() == [{"n": 2}]

    def test_the_toolkits_schema_is_another(self, engine: Engine) -> None:
        warehouse = engine.open()
        make_schema(warehouse)
        warehouse.load(wml_table("people"), ROWS)
        assert rows(warehouse, wml_table("people")) == ROWS.to_pylist()
        assert not warehouse.exists(PEOPLE)


class TestStreams:
    def test_rows_come_in_order_and_in_small_batches(self, engine: Engine) -> None:
        warehouse = engine.open()
        warehouse.load(PEOPLE, pa.table({"id": range(1, 2501)}))
        reader = warehouse.stream("select id from people order by id desc", batch_rows=1000)
        batches = list(reader)
        assert max(batch.num_rows for batch in batches) <= 1000
        assert [value for batch in batches for value in batch["id"].to_pylist()] == list(range(2500, 0, -1))

    def test_a_stream_of_nothing_has_its_columns(self, warehouse: Warehouse) -> None:
        warehouse.load(PEOPLE, ROWS)
        reader = warehouse.stream("select id, name, seen_at from people where id > 100")
        assert reader.schema.names == ["id", "name", "seen_at"]
        assert reader.read_all().num_rows == 0

    def test_a_stream_tells_its_errors(self, warehouse: Warehouse) -> None:
        with pytest.raises(SqlError):
            warehouse.stream("select nothing_of_that_name from people_of_no_table")


class TestParameters:
    @pytest.mark.parametrize(
        ("kind", "value"),
        [
            ("string", "'; drop table people; --"),
            ("string", ""),
            ("string", "@x $x ? {{ x }} `x` \\ \n 中"),
            ("int", -(2**63)),
            ("double", 0.1 + 0.2),
            ("bool", False),
            ("timestamp", NOON),
        ],
    )
    def test_a_value_arrives_as_it_is(self, engine: Engine, kind: str, value: object) -> None:
        sql = engine.sql("select cast({{ param('x') }} as {{ type(kind) }}) as x", kind=kind)
        assert engine.open().fetch(sql, {"x": value}).to_pylist() == [{"x": value}]

    @pytest.mark.parametrize("kind", ["string", "int", "double", "bool", "timestamp"])
    def test_none_is_null_of_any_type(self, engine: Engine, kind: str) -> None:
        warehouse = engine.open()
        warehouse.run(engine.sql("create table {{ 't' | ident }} (x {{ type(kind) }})", kind=kind))
        warehouse.run(engine.sql("insert into t (x) values ({{ param('x') }})"), {"x": None})
        warehouse.run(engine.sql("insert into t (x) select {{ param('x') }}"), {"x": None})
        assert warehouse.fetch("select x from t").to_pylist() == [{"x": None}] * 2

    def test_a_double_keeps_all_its_digits(self, engine: Engine) -> None:
        warehouse = engine.open()
        sql = engine.sql("select {{ param('x') }} as x")
        for value in (1 / 3, 5e-324, 1.7976931348623157e308):
            assert warehouse.fetch(sql, {"x": value})["x"].to_pylist() == [value]

    def test_a_double_keeps_its_sign(self, engine: Engine) -> None:
        engine.lacks("negative zero")
        (found,) = engine.open().fetch(engine.sql("select {{ param('x') }} as x"), {"x": -0.0})["x"].to_pylist()
        assert math.copysign(1, found) == -1

    def test_a_name_that_only_looks_like_a_parameter_is_none(self, engine: Engine) -> None:
        sql = engine.sql("select '{{ param('x') }}' as text, {{ param('x') }} as x")
        (row,) = engine.open().fetch(sql, {"x": None}).to_pylist()
        assert row == {"text": engine.sql("{{ param('x') }}"), "x": None}


class TestTemporaryTables:
    def test_they_are_this_connections_alone(self, engine: Engine) -> None:
        first = engine.open()
        first.load(Relation("_scratch"), ROWS, temporary=True)
        assert count(first, Relation("_scratch")) == 3
        first.run(engine.sql("{{ create_scratch('_more') }} select id from _scratch where id > 1"))
        assert count(first, Relation("_more")) == 2
        assert not {"_scratch", "_more"} & set(first.kinds())
        second = engine.open()
        with pytest.raises(SqlError):
            count(second, Relation("_scratch"))

    def test_nothing_is_left_of_them(self, engine: Engine) -> None:
        warehouse = engine.open()
        warehouse.load(Relation("_scratch"), ROWS, temporary=True)
        assert warehouse.kinds() == {}

    def test_one_takes_the_place_of_another(self, engine: Engine) -> None:
        warehouse = engine.open()
        warehouse.load(Relation("_scratch"), ROWS, temporary=True)
        warehouse.load(Relation("_scratch"), pa.table({"id": [7]}), temporary=True)
        assert rows(warehouse, Relation("_scratch")) == [{"id": 7}]

    def test_they_join_with_what_is_kept(self, engine: Engine) -> None:
        warehouse = engine.open()
        warehouse.load(PEOPLE, ROWS)
        warehouse.load(Relation("_scratch"), pa.table({"id": [2, 3]}), temporary=True)
        warehouse.run("delete from people where id in (select id from _scratch)")
        assert [row["id"] for row in rows(warehouse, PEOPLE)] == [1]


class _Stop(BaseException):
    pass


class TestTransactions:
    @pytest.fixture
    def filled(self, engine: Engine) -> Warehouse:
        warehouse = engine.open()
        warehouse.load(PEOPLE, ROWS)
        warehouse.load(Relation("others"), ROWS)
        return warehouse

    def test_changes_are_kept_together(self, engine: Engine, filled: Warehouse) -> None:
        with filled.transaction():
            filled.run("delete from people where id = 1")
            filled.run("insert into others (id) values (9)")
            assert count(filled, PEOPLE) == 2
        again = engine.open()
        assert (count(again, PEOPLE), count(again, Relation("others"))) == (2, 4)

    @pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, _Stop])
    def test_changes_are_taken_back_together(
        self, engine: Engine, filled: Warehouse, error: type[BaseException]
    ) -> None:
        with pytest.raises(error), filled.transaction():
            filled.run("delete from people where id = 1")
            filled.run("insert into others (id) values (9)")
            raise error
        assert rows(filled, PEOPLE) == ROWS.to_pylist()
        again = engine.open()
        assert (count(again, PEOPLE), count(again, Relation("others"))) == (3, 3)

    def test_a_statement_that_fails_takes_the_others_back(self, filled: Warehouse) -> None:
        with pytest.raises(WmlError), filled.transaction():
            filled.run("delete from people where id = 1")
            filled.run("insert into people (no_such_column) values (1)")
        assert count(filled, PEOPLE) == 3
        filled.run("delete from people where id = 1")
        assert count(filled, PEOPLE) == 2

    def test_an_inner_one_is_part_of_the_outer(self, filled: Warehouse) -> None:
        with pytest.raises(ValueError, match="outer"), filled.transaction():
            with filled.transaction():
                filled.run("delete from people where id = 1")
            raise ValueError("outer")
        assert count(filled, PEOPLE) == 3

    def test_a_new_table_and_view_are_gone_again(self, filled: Warehouse, engine: Engine) -> None:
        with pytest.raises(_Stop), filled.transaction():
            filled.run(engine.sql("create or replace table {{ 'fresh' | ident }} as select 1 as a"))
            filled.run(engine.sql("create or replace view {{ 'seen' | ident }} as select 1 as a"))
            filled.load(Relation("loaded"), ROWS)
            assert {"fresh", "seen", "loaded"} <= set(filled.kinds())
            raise _Stop
        assert set(filled.kinds()) == {"people", "others"}

    def test_a_table_that_was_replaced_is_back(self, filled: Warehouse, engine: Engine) -> None:
        with pytest.raises(_Stop), filled.transaction():
            filled.run("delete from people where id = 1")
            filled.run(engine.sql("create or replace table {{ 'others' | ident }} as select 1 as a"))
            filled.load(PEOPLE, pa.table({"z": [1]}))
            assert rows(filled, Relation("others"), "a") == [{"a": 1}]
            raise _Stop
        assert rows(filled, Relation("others")) == ROWS.to_pylist()
        assert rows(filled, PEOPLE)[-1] == ROWS.to_pylist()[-1]
        assert set(filled.kinds()) == {"people", "others"}

    def test_a_view_that_was_replaced_is_back(self, filled: Warehouse, engine: Engine) -> None:
        filled.run(engine.sql("create or replace view {{ 'seen' | ident }} as select 1 as a"))
        with pytest.raises(_Stop), filled.transaction():
            filled.run(engine.sql("drop view if exists {{ 'seen' | ident }}"))
            filled.run(engine.sql("create or replace table {{ 'seen' | ident }} as select 2 as a"))
            raise _Stop
        assert filled.kind(Relation("seen")) == "view"
        assert filled.fetch("select a from seen").to_pylist() == [{"a": 1}]

    def test_scratch_tables_of_a_block_that_failed_are_gone(self, filled: Warehouse, engine: Engine) -> None:
        with pytest.raises(_Stop), filled.transaction():
            filled.run(engine.sql("{{ create_scratch('_early') }} select 1 as a"))
            filled.run("delete from people where id = 1")
            raise _Stop
        with pytest.raises(SqlError):
            filled.fetch("select a from _early")

    def test_definitions_and_changes_in_turn_are_kept(self, filled: Warehouse, engine: Engine) -> None:
        with filled.transaction():
            filled.run("insert into people (id) values (4)")
            filled.run(engine.sql("create or replace table {{ 'copied' | ident }} as select id from people"))
            filled.run("insert into copied (id) values (5)")
            filled.run("delete from people where id = 1")
        assert [row["id"] for row in rows(filled, Relation("copied"))] == [1, 2, 3, 4, 5]
        assert [row["id"] for row in rows(filled, PEOPLE)] == [2, 3, 4]
        assert set(filled.kinds()) == {"people", "others", "copied"}


class TestNames:
    def test_what_is_there(self, engine: Engine) -> None:
        warehouse = engine.open()
        warehouse.load(Relation("People"), ROWS)
        warehouse.run(engine.sql("create view {{ 'seen' | ident }} as select 1 as a"))
        assert warehouse.kinds() == {"people": "table", "seen": "view"}
        assert warehouse.kind(Relation("People")) == "table"
        assert warehouse.kind(Relation("seen")) == "view"
        assert warehouse.kind(Relation("nothing")) is None
        assert warehouse.exists(Relation("seen"))
        assert not warehouse.exists(wml_table("seen"))

    def test_a_schema_that_is_not_there_is_empty(self, warehouse: Warehouse) -> None:
        assert warehouse.kinds("no_such_schema") == {}

    def test_columns_are_told_in_order_and_of_a_kind(self, warehouse: Warehouse) -> None:
        warehouse.load(PEOPLE, ROWS)
        found = warehouse.columns("select seen_at, id, name, score, is_new from people")
        kinds = {name: kind_of(column_type) for name, column_type in found.items()}
        assert list(kinds.items()) == [
            ("seen_at", "timestamp"),
            ("id", "number"),
            ("name", "category"),
            ("score", "number"),
            ("is_new", "boolean"),
        ]

    def test_columns_of_a_scratch_table(self, engine: Engine) -> None:
        warehouse = engine.open()
        warehouse.load(Relation("_scratch"), ROWS, temporary=True)
        assert list(warehouse.columns("select id, name from _scratch")) == ["id", "name"]

    def test_words_beside_a_table(self, engine: Engine) -> None:
        warehouse = engine.open()
        warehouse.load(PEOPLE, ROWS)
        assert not warehouse.description(PEOPLE)
        make_schema(warehouse)
        warehouse.load(wml_table("people"), ROWS)
        warehouse.run(engine.sql("{{ describe_table('people' | wml, 'made by a test') }}"))
        assert warehouse.description(wml_table("people")) == "made by a test"
        assert not warehouse.description(Relation("nothing"))

    def test_the_toolkits_tables_are_made_once(self, warehouse: Warehouse) -> None:
        ensure_tables(warehouse)
        there = warehouse.kinds("wml")
        assert {"evaluations", "metrics", "latest_metrics"} <= set(there)
        ensure_tables(warehouse)
        assert warehouse.kinds("wml") == there

    def test_columns_that_came_later_are_added(self, engine: Engine) -> None:
        warehouse = engine.open()
        warehouse.load(PEOPLE, pa.table({"id": [1]}))
        declared = engine.sql("create table {{ 'people' | ident }} (id {{ type('int') }}, name {{ type('string') }})")
        add_columns(warehouse, PEOPLE, declared)
        add_columns(warehouse, PEOPLE, declared)
        assert rows(warehouse, PEOPLE) == [{"id": 1, "name": None}]


class TestErrors:
    def test_a_table_that_is_not_there_is_named(self, warehouse: Warehouse) -> None:
        with pytest.raises(SqlError, match="no_such_people"):
            warehouse.fetch("select 1 as a from no_such_people")

    def test_a_column_that_is_not_there_is_named(self, warehouse: Warehouse) -> None:
        warehouse.load(PEOPLE, ROWS)
        with pytest.raises(SqlError, match="no_such_column"):
            warehouse.fetch("select no_such_column from people")

    def test_an_error_says_where_it_is(self, engine: Engine) -> None:
        engine.lacks("positions")
        warehouse = engine.open()
        warehouse.load(PEOPLE, ROWS)
        with pytest.raises(SqlError) as caught:
            warehouse.fetch("select id,\n    no_such_column\nfrom people")
        assert caught.value.line == 2
        assert caught.value.position == len("select id,\n    ")

    def test_what_is_no_sql_is_the_users_mistake(self, warehouse: Warehouse) -> None:
        with pytest.raises(SqlError):
            warehouse.run("selekt 1")

    def test_the_statement_is_told(self, warehouse: Warehouse) -> None:
        with pytest.raises(SqlError) as caught:
            warehouse.fetch("select 1 as a from no_such_people")
        assert caught.value.sql == "select 1 as a from no_such_people"

    def test_after_an_error_the_next_statement_runs(self, warehouse: Warehouse) -> None:
        with pytest.raises(SqlError):
            warehouse.run("selekt 1")
        assert warehouse.fetch("select 1 as a").to_pylist() == [{"a": 1}]

    def test_a_value_that_does_not_fit(self, engine: Engine) -> None:
        warehouse = engine.open()
        sql = engine.sql("select cast({{ param('x') }} as {{ type('int') }}) as n")
        with pytest.raises(SqlError):
            warehouse.fetch(sql, {"x": "twelve"})


class TestReadingAlone:
    @pytest.fixture
    def reading(self, engine: Engine) -> Warehouse:
        engine.open().load(PEOPLE, ROWS)
        return engine.open(read_only=True)

    def test_it_reads(self, reading: Warehouse) -> None:
        assert count(reading, PEOPLE) == 3

    def test_it_may_have_scratch_tables(self, reading: Warehouse, engine: Engine) -> None:
        reading.run(engine.sql("{{ create_scratch('_few') }} select id from people where id > 2"))
        assert count(reading, Relation("_few")) == 1

    @pytest.mark.parametrize(
        "sql",
        [
            "delete from people where true",
            "insert into people (id) values (1)",
            "create or replace table people as select 1 as a",
            "drop table people",
            "alter table people add column if not exists b int",
        ],
    )
    def test_it_changes_nothing(self, reading: Warehouse, sql: str) -> None:
        with pytest.raises((SqlError, WarehouseError)):
            reading.run(sql)
        assert rows(reading, PEOPLE) == ROWS.to_pylist()

    def test_it_loads_nothing(self, reading: Warehouse) -> None:
        with pytest.raises((SqlError, WarehouseError)):
            reading.load(PEOPLE, ROWS.slice(0, 1))
        assert count(reading, PEOPLE) == 3


class TestDryRuns:
    def test_it_tells_bytes_or_that_it_cannot(self, warehouse: Warehouse) -> None:
        warehouse.load(PEOPLE, ROWS)
        found = warehouse.dry_run("select id from people")
        assert found is None or found >= 0

    def test_nothing_is_changed(self, warehouse: Warehouse) -> None:
        warehouse.load(PEOPLE, ROWS)
        warehouse.dry_run("delete from people where true")
        assert count(warehouse, PEOPLE) == 3

    def test_what_would_fail_fails(self, warehouse: Warehouse) -> None:
        with pytest.raises(SqlError):
            warehouse.dry_run("select 1 as a from no_such_people")


class TestFiles:
    def test_a_parquet_file_is_read_in_order(self, engine: Engine, tmp_path: Path) -> None:
        warehouse = engine.open()
        make_schema(warehouse)
        path = tmp_path / "some.rows.parquet"
        pq.write_table(pa.table({"id": [5, 3, 4], "name": ["a", "b", None]}), path)
        named = warehouse.parquet(path)
        sql = engine.sql("select id, name from {{ read_parquet(path) }}", path=named)
        assert sorted(row["id"] for row in warehouse.fetch(sql).to_pylist()) == [3, 4, 5]
        sql = engine.sql("select id from {{ read_parquet_in_order(path, 'position') }} order by position", path=named)
        assert warehouse.fetch(sql)["id"].to_pylist() == [5, 3, 4]

    def test_a_file_that_changed_is_read_again(self, engine: Engine, tmp_path: Path) -> None:
        warehouse = engine.open()
        make_schema(warehouse)
        path = tmp_path / "rows.parquet"
        pq.write_table(pa.table({"id": [1]}), path)
        first = warehouse.parquet(path)
        warehouse.run(
            engine.sql(
                "create or replace view {{ 'seen' | wml }} as select id from {{ read_parquet(path) }}", path=first
            )
        )
        pq.write_table(pa.table({"id": [1, 2]}), path)
        assert warehouse.parquet(path) == first
        assert warehouse.fetch(engine.sql("select id from {{ 'seen' | wml }} order by id"))["id"].to_pylist() == [1, 2]

    @pytest.mark.parametrize("suffix", ["parquet", "csv"])
    def test_a_source_that_is_a_file(self, engine: Engine, tmp_path: Path, suffix: str) -> None:
        warehouse = engine.open()
        make_schema(warehouse)
        table = pa.table({"id": [1, 2], "name": ["a", "b"], "x": [0.5, 1.5]})
        for part in ("one", "two"):
            path = tmp_path / f"rows-{part}.{suffix}"
            if suffix == "parquet":
                pq.write_table(table, path)
            else:
                path.write_text("id,name,x\n1,a,0.5\n2,b,1.5\n", encoding="utf-8")
        for pattern, n in ((f"rows-one.{suffix}", 2), (f"rows-*.{suffix}", 4)):
            sql = engine.sql("select id, name, x from {{ read_file(path) }}", path=(tmp_path / pattern).as_posix())
            found = warehouse.fetch(sql).sort_by("id").to_pylist()
            assert len(found) == n
            assert found[0] == {"id": 1, "name": "a", "x": 0.5}

    def test_who_only_reads_has_files_too_and_changes_nothing(self, engine: Engine, tmp_path: Path) -> None:
        make_schema(engine.open())
        warehouse = engine.open(read_only=True)
        path = tmp_path / "rows.parquet"
        pq.write_table(pa.table({"id": [1, 2]}), path)
        sql = engine.sql("select id from {{ read_parquet(path) }}", path=warehouse.parquet(path))
        assert warehouse.fetch(sql).num_rows == 2
        sql = engine.sql("select id from {{ read_file(path) }}", path=path.as_posix())
        assert warehouse.fetch(sql).num_rows == 2
        assert (warehouse.kinds(), warehouse.kinds("wml")) == ({}, {})
