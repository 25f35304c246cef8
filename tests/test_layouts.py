"""How relations are to lie: what config(...) and wml.toml may say, on every engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.tiny import edit, write
from tests.wml import ok, rows, wml
from warehouse_ml.errors import DataError, ProjectError, TemplateError
from warehouse_ml.warehouses.base import LaysOut, Relation
from warehouse_ml.warehouses.bigquery.layouts import layout_told
from warehouse_ml.warehouses.bigquery.rewrite import relation_read
from warehouse_ml.warehouses.bigquery.settings import bigquery_settings
from warehouse_ml.warehouses.duckdb import DuckDBWarehouse
from warehouse_ml.warehouses.layout import LOGS, METRICS, Layout, fitted, layout_of_config

REQUESTS = "sql/requests/churn_requests.sql"
TABLE = {"materialized": "table"}
INCREMENTAL = {"materialized": "incremental", "event_time": "requested_at"}


class TestConfig:
    @pytest.mark.parametrize(
        ("config", "expected"),
        [
            ({}, None),
            (TABLE, None),
            (INCREMENTAL, Layout("requested_at", "day")),
            (INCREMENTAL | {"partition_by": None}, Layout()),
            (INCREMENTAL | {"partition_by": False, "cluster_by": "a"}, Layout(cluster_by=("a",))),
            (INCREMENTAL | {"cluster_by": ["a", "b"]}, Layout("requested_at", "day", ("a", "b"))),
            (TABLE | {"partition_by": "day"}, Layout("day", "day")),
            (TABLE | {"partition_by": {"field": "at", "granularity": "MONTH"}}, Layout("at", "month")),
            (
                TABLE | {"partition_by": {"field": "at", "data_type": "Timestamp"}, "partition_expiration_days": 30},
                Layout("at", "day", (), 30.0, data_type="timestamp"),
            ),
            (TABLE | {"partition_by": "at", "require_partition_filter": True}, Layout("at", "day", (), None, True)),
        ],
    )
    def test_what_may_be_said(self, config: dict[str, Any], expected: Layout | None) -> None:
        assert layout_of_config(config, kind="feature", place="f.sql") == expected

    @pytest.mark.parametrize(
        ("config", "what", "has", "hint"),
        [
            ({"partition_by": "at"}, "partition_by is of tables, and this is a view", None, "materialized='table'"),
            ({"cluster_by": "a"}, "cluster_by is of tables", None, "materialized='table'"),
            (TABLE | {"partition_by": 7}, "partition_by = 7 is no column", None, "'granularity': 'month'"),
            (TABLE | {"partition_by": {"granularity": "day"}}, "names no column", None, "{'field': 'requested_at'}"),
            (TABLE | {"partition_by": {"feild": "a"}}, 'no setting "feild"', "field", 'did you mean "field"?'),
            (TABLE | {"partition_by": {"field": "a", "range": {}}}, 'no setting "range"', "field", "cluster_by"),
            (TABLE | {"partition_by": {"field": "a", "granularity": "week"}}, "'week' cannot be", "hour", "write day"),
            (
                TABLE | {"partition_by": {"field": "a", "granularity": "mont"}},
                "'mont'",
                "month",
                'did you mean "month"?',
            ),
            (
                TABLE | {"partition_by": {"field": "a", "data_type": "int64"}},
                "data_type = 'int64'",
                "date",
                "leave it out",
            ),
            (TABLE | {"cluster_by": []}, "is no list of columns", None, "['region', 'product']"),
            (TABLE | {"cluster_by": {"a": 1}}, "is no list of columns", None, "['region', 'product']"),
            (TABLE | {"cluster_by": list("abcde")}, "names 5 columns, and 4 is the most", None, "keep those"),
            (TABLE | {"cluster_by": ["a", "A"]}, 'names "A" twice', None, "once"),
            (TABLE | {"partition_by": "a", "partition_expiration_days": 0}, "= 0 is no number of days", None, "365"),
            (TABLE | {"partition_by": "a", "partition_expiration_days": True}, "= True is no number", None, "365"),
            (
                TABLE | {"partition_expiration_days": 3},
                "is of partitions, and there are none",
                None,
                "partition_by='...'",
            ),
            (TABLE | {"require_partition_filter": True}, "is of partitions, and there are none", None, "partition_by"),
            (TABLE | {"partition_by": "a", "require_partition_filter": "yes"}, "neither true nor false", None, "=true"),
            (
                INCREMENTAL | {"partition_by": "seen_at", "require_partition_filter": True},
                'read by "requested_at", and its partitions are of "seen_at"',
                None,
                "partition_by='requested_at'",
            ),
        ],
    )
    def test_what_may_not(self, config: dict[str, Any], what: str, has: str | None, hint: str) -> None:
        with pytest.raises(TemplateError) as raised:
            layout_of_config(config, kind="feature", place="f.sql")
        assert raised.value.place == "f.sql"
        assert what in raised.value.what
        assert has is None or has in (raised.value.has or [])
        assert hint in (raised.value.hint or "")


COLUMNS = {
    "At": "TIMESTAMP WITH TIME ZONE",
    "day": "DATE",
    "local": "TIMESTAMP",
    "n": "BIGINT",
    "x": "DOUBLE",
    "tags": "VARCHAR[]",
    "both": "STRUCT(a BIGINT)",
    "word": "VARCHAR",
}


class TestColumns:
    def test_they_are_spelled_as_the_relation_has_them(self) -> None:
        found = fitted(Layout("at", "hour", ("WORD", "n")), COLUMNS, engine="duckdb", place="f.sql")
        assert found == Layout("At", "hour", ("word", "n"), data_type="timestamp")

    @pytest.mark.parametrize(
        ("engine", "type_name", "expected"),
        [
            ("duckdb", "TIMESTAMP", "datetime"),
            ("duckdb", "TIMESTAMP_NS", "datetime"),
            ("duckdb", "TIMESTAMP WITH TIME ZONE", "timestamp"),
            ("duckdb", "DATE", "date"),
            ("bigquery", "TIMESTAMP", "timestamp"),
            ("bigquery", "DATETIME", "datetime"),
        ],
    )
    def test_what_a_time_is(self, engine: str, type_name: str, expected: str) -> None:
        assert fitted(Layout("t", "day"), {"t": type_name}, engine=engine, place="f").data_type == expected

    @pytest.mark.parametrize(
        ("layout", "what", "has", "hint"),
        [
            (Layout("att", "day"), 'partition_by: no column "att"', "At", "At"),
            (
                Layout("n", "day"),
                'partition_by: "n" is BIGINT, and partitions are of times',
                "day",
                "date or timestamp",
            ),
            (Layout("day", "hour"), '"day" is a date, which has no hours', None, "'day'"),
            (
                Layout("day", "day", data_type="timestamp"),
                'data_type is "timestamp", and "day" is a date',
                None,
                "'date'",
            ),
            (Layout(cluster_by=("wrd",)), 'cluster_by: no column "wrd"', "word", 'did you mean "word"?'),
            (Layout(cluster_by=("x",)), 'cluster_by: "x" is DOUBLE', "word", "text, whole numbers"),
            (Layout(cluster_by=("tags",)), 'cluster_by: "tags" is VARCHAR[]', "word", "text"),
            (Layout(cluster_by=("both",)), 'cluster_by: "both" is STRUCT(a BIGINT)', "word", "text"),
        ],
    )
    def test_what_rows_cannot_lie_by(self, layout: Layout, what: str, has: str | None, hint: str) -> None:
        with pytest.raises(DataError) as raised:
            fitted(layout, COLUMNS, engine="duckdb", place="f.sql")
        assert raised.value.place == "f.sql"
        assert what in raised.value.what
        assert has is None or has in (raised.value.has or [])
        assert hint in (raised.value.hint or "")


class TestOnDuckDB:
    def test_a_setting_is_taken_and_changes_nothing(self, tiny: Path) -> None:
        ok(tiny, "build", "--as-of", "2024-01-03")
        before = rows(tiny, "select * from churn_requests order by request_id")
        built = rows(tiny, "select relation, definition_hash, built_at from wml.builds order by relation")
        setting = "partition_by='requested_at', cluster_by=['region'], partition_expiration_days=30"
        setting += ", require_partition_filter=true"
        edit(tiny, REQUESTS, "event_time='requested_at'", f"event_time='requested_at', {setting}")
        done = ok(tiny, "build", "--as-of", "2024-01-03", "--format", "json")
        assert {row["action"] for row in done.rows} == {"up to date"}
        assert rows(tiny, "select relation, definition_hash, built_at from wml.builds order by relation") == built
        ok(tiny, "build", "--as-of", "2024-01-03", "--fresh")
        assert rows(tiny, "select * from churn_requests order by request_id") == before
        assert not isinstance(DuckDBWarehouse(), LaysOut)

    @pytest.mark.parametrize("is_built", [False, True])
    def test_it_is_checked(self, tiny: Path, is_built: bool) -> None:
        if is_built:
            ok(tiny, "build", "--as-of", "2024-01-03")
        edit(tiny, REQUESTS, "event_time='requested_at'", "event_time='requested_at', cluster_by=['amount']")
        failed = wml(tiny, "build", "--as-of", "2024-01-03")
        assert failed.code == 2
        assert f'{REQUESTS}: cluster_by: "amount" is DOUBLE, which rows are not sorted by' in failed.err
        assert "has:  request_id, requested_at" in failed.err

    def test_a_setting_that_cannot_be_is_told_by_every_command(self, tiny: Path) -> None:
        edit(tiny, REQUESTS, "event_time='requested_at'", "event_time='requested_at', partiton_by='requested_at'")
        failed = wml(tiny, "compile", "churn_requests")
        assert failed.code == 2
        assert 'config has no setting "partiton_by"' in failed.err
        assert 'did you mean "partition_by"?' in failed.err
        write(tiny, "sql/features/other.sql", "{{ config(partition_by='day') }}\nselect 1 as day\n")
        edit(tiny, REQUESTS, ", partiton_by='requested_at'", "")
        assert "sql/features/other.sql: partition_by is of tables" in wml(tiny, "build").err


TARGET = {"project": "my-project", "dataset": "ml"}


class TestOwnTables:
    def test_good_defaults(self) -> None:
        settings = bigquery_settings(TARGET, "wml.toml: [targets.bigquery]")
        assert (settings.log_layout, settings.metrics_layout) == (LOGS, METRICS)

    def test_the_targets_own(self) -> None:
        logs = {"granularity": "hour", "cluster_by": ["alias", "version", "request_id"]}
        settings = bigquery_settings(TARGET | {"logs": logs, "metrics": {"granularity": "year"}}, "wml.toml")
        assert settings.log_layout.stands_as(Layout("requested_at", "hour", ("alias", "version", "request_id")))
        assert settings.metrics_layout.stands_as(Layout("window_start", "year"))

    @pytest.mark.parametrize(
        ("settings", "what", "has"),
        [
            ({"logs": "day"}, "logs = 'day' must be a table", None),
            ({"logs": {"granularty": "day"}}, 'logs has no setting "granularty"', "granularity"),
            ({"logs": {"partition_expiration_days": 9}}, 'no setting "partition_expiration_days"', "cluster_by"),
            ({"logs": {"granularity": "week"}}, "logs: granularity = 'week' cannot be", "month"),
            ({"logs": {"cluster_by": ["score"]}}, 'logs: cluster_by: no column "score"', "request_id"),
            ({"logs": {"cluster_by": []}}, "logs: cluster_by = [] is no list of columns", None),
            ({"metrics": {"cluster_by": ["model"]}}, 'metrics has no setting "cluster_by"', "granularity"),
        ],
    )
    def test_what_cannot_be(self, settings: dict[str, Any], what: str, has: str | None) -> None:
        with pytest.raises(ProjectError) as raised:
            bigquery_settings(TARGET | settings, "wml.toml: [targets.bigquery]")
        assert raised.value.place == "wml.toml: [targets.bigquery]"
        assert what in raised.value.what
        assert has is None or has in (raised.value.has or [])


class TestWhatTheServiceTells:
    @pytest.mark.parametrize(
        ("table", "expected"),
        [
            ({}, Layout()),
            ({"clustering": {"fields": ["a", "b"]}}, Layout(cluster_by=("a", "b"))),
            ({"timePartitioning": {"type": "DAY", "field": "at"}}, Layout("at", "day")),
            ({"timePartitioning": {"type": "HOUR"}}, Layout("_PARTITIONTIME", "hour")),
            (
                {
                    "timePartitioning": {"type": "MONTH", "field": "at", "expirationMs": "2592000000"},
                    "requirePartitionFilter": True,
                    "clustering": {"fields": ["a"]},
                },
                Layout("at", "month", ("a",), 30.0, True),
            ),
            ({"rangePartitioning": {"field": "n", "range": {}}}, Layout("n", "range")),
        ],
    )
    def test_how_a_table_lies(self, table: dict[str, Any], expected: Layout) -> None:
        assert layout_told(table) == expected

    @pytest.mark.parametrize(
        ("sql", "expected"),
        [
            ("-- grain\nselect relation.*\nfrom `wml`.`log` as relation", Relation("log", "wml")),
            ("select r.* from churn as r", Relation("churn")),
            ("select r.* from `p.d.t` as r", Relation("t", "d")),
            ("select r.* from churn as r where x = 1", None),
            ("select r.x from churn as r", None),
            ("select r.* from churn as r, other as r", None),
            ("select * from churn", None),
            ("", None),
        ],
    )
    def test_which_relation_is_read_whole(self, sql: str, expected: Relation | None) -> None:
        assert relation_read(sql) == expected
