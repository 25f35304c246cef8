"""How tables lie on BigQuery: what a weekly run reads of them, how they are made, and when they are made anew."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.googlesql.both import Both, playing
from tests.googlesql.partitions import scans
from tests.googlesql.warehouse import Asked
from tests.tiny import edit, write
from tests.wml import wml
from warehouse_ml import templates
from warehouse_ml.building.layout import misplaced
from warehouse_ml.catalog import Catalog
from warehouse_ml.project import load_project
from warehouse_ml.tables import WINDOWED
from warehouse_ml.warehouses.base import WML
from warehouse_ml.warehouses.bigquery.rewrite import relation_read
from warehouse_ml.warehouses.layout import LOGS, Layout

PROVES = ("loop/closed_until.sql", "loop/open_since.sql", "loop/drift_current.sql")

REQUESTS = "sql/requests/churn_requests.sql"
FIELDS = {"churn_requests": "requested_at", "request_log_churn": "requested_at"}

READ_WHOLE = {
    "building/count_rows.sql": "the rows of a table that is read with a filter alone, counted by one column",
    "building/example_overlap.sql": "a request's id must be its own among those of all time",
    "evaluation/late_labels.sql": "an answer may come late for a request of any day",
}
"""Statements of a weekly run that read a request log, or requests, from the first day on, and why."""


def file_of(sql: str) -> str:
    """Return the toolkit's file that a statement is rendered from: of several parts, the whole."""
    found = [
        (len(text), f"{package.removeprefix('warehouse_ml.').replace('.', '/')}/{file}")
        for (package, file, engine, _), text in templates._rendered.items()
        if engine == "bigquery" and any(part.strip() and part.strip() in sql for part in text.split(";\n"))
    ]
    return max(found)[1] if found else sql


def lay(both: Both, setting: str) -> None:
    """Add settings to those of the requests."""
    old = "event_time='requested_at'"
    both.write(lambda folder: edit(folder, REQUESTS, old, f"{old}, {setting}"))


LABELS = """\
select
    events.request_id,
    case when {{ is_corrected }} then not events.has_churned else events.has_churned end as has_churned,
    case
        when {{ is_corrected }} then {{ corrected_at }}
        when events.region = 'south' then {{ late_at }}
        else {{ at }}
    end as known_at
from {{ source('events') }} as events
where case when events.region = 'south' then {{ late_at }} else {{ at }} end <= {{ as_of }}
"""
"""Answers of a third of the requests come after their window was closed, and others are corrected then."""

TIMES = """\
{% set at = add_interval('events.requested_at', 12, 'hour') %}
{% set late_at = add_interval('events.requested_at', 36, 'hour') %}
{% set corrected_at = add_interval('events.requested_at', 40, 'hour') %}
{% set is_corrected = "events.region = 'east' and " ~ corrected_at ~ ' <= ' ~ as_of %}
"""


def test_each_statement_of_a_week_says_when(tmp_path: Path) -> None:
    asked: list[Asked] = []
    both = Both(tmp_path, n_events=144, on_statement=asked.append)
    both.write(lambda folder: write(folder, "sql/features/churn_labels.sql", TIMES + LABELS))
    lay(both, "require_partition_filter=true")
    old = "slices=['region'], window='week', maturity='3 days'"
    both.write(lambda folder: edit(folder, "sql/evaluation/churn.sql", old, "window='day', maturity='1 days'"))
    both.write(
        lambda folder: edit(
            folder,
            "models/churn.sql",
            "on requests.request_id = labels.request_id",
            "on requests.request_id = labels.request_id\nwhere requests.requested_at < {{ as_of }}",
        )
    )
    with playing(both):
        both.run("run", "--as-of", "2024-01-03")
        both.run("run", "--as-of", "2024-01-05")
        first = len(asked)
        # The first window is closed by now, and answers to its requests come and are corrected.
        both.run("run", "--as-of", "2024-01-06")
    seen: set[str] = set()
    for statement in asked[first:]:
        for scan in scans(statement.sql, FIELDS) if statement.is_run else ():
            file = file_of(statement.sql)
            seen.add(f"{file} {scan.table}")
            if not scan.is_from and not scan.is_counted_alone:
                assert file in READ_WHOLE, f"{file} reads {scan.table} from the first day on:\n{statement.sql}"
    # The exceptions are those that there are, and the rest is what a week is known to do.
    assert set(READ_WHOLE) <= {name.split()[0] for name in seen}
    assert seen >= {
        "requests/open_periods.sql request_log_churn",
        "requests/pending.sql request_log_churn",
        "loop/open_since.sql request_log_churn",
        "evaluation/rows.sql request_log_churn",
        "evaluation/drift_listed.sql request_log_churn",
        "building/replace_window.sql churn_requests",
    }
    # Requests are read with a filter alone, and each statement has one; what columns a table has is told apart.
    named = [
        scan.is_named
        for statement in asked
        if statement.is_run or relation_read(statement.sql) is None
        for scan in scans(statement.sql, {"churn_requests": "requested_at"})
    ]
    assert len(named) > 10
    assert all(named)
    assert both.agree("wml.evaluations", but=("content_hash", "rows_hash", "definition_hash")) >= 2
    assert both.agree("wml.metrics") > 40
    assert both.agree("wml.drift") > 30
    assert both.agree("wml.request_log_churn", but=("definition_hash",)) == 72


class TestScans:
    """What is taken for a condition that BigQuery leaves partitions out by."""

    @pytest.mark.parametrize(
        ("sql", "is_from", "is_until"),
        [
            ("select x from log", False, False),
            ("select x from log where at >= @since", True, False),
            ("select x from log where at >= timestamp_trunc(@since, day) and @until > log.at", True, True),
            ("select x from log where at between @since and @until", True, True),
            ("select x from log where at >= @since or x = 1", False, False),
            ("select x from log where at >= (select max(at) from other)", False, False),
            ("select x from log where at >= other_at", False, False),
            ("select x from log where timestamp_trunc(at, day) >= @since", False, False),
            ("select x from (select x, at from log) as j where j.at >= @since", True, False),
            ("select x from (select x, at as seen from log) as j where j.seen >= @since", True, False),
            ("select x from (select x, max(at) as at from log group by x) as j where j.at >= @since", False, False),
            ("select x from (select x, at from log limit 5) as j where j.at >= @since", False, False),
            ("select x from (select l.* from log as l left join y on l.a = y.a) as j where j.at < @until", False, True),
            ("with j as (select x, at from log) select x from j where at >= @since", True, False),
            ("with j as (select x, at from log) select x from j union all select x from j", False, False),
            ("select x from y inner join log as l on l.a = y.a and l.at >= @since", True, False),
            ("select x from y inner join log as l on l.a = y.a and l.at >= y.at", False, False),
            ("select x from y left join log as l on l.a = y.a and y.at >= @since", False, False),
            ("select x from y where exists (select 1 from log as l where l.a = y.a and l.at >= @since)", True, False),
            ("delete from log where at >= @since", True, False),
        ],
    )
    def test_bounds(self, sql: str, is_from: bool, is_until: bool) -> None:
        (scan,) = scans(sql, {"log": "at"})
        assert (scan.is_from, scan.is_until) == (is_from, is_until)

    def test_what_is_written_is_not_read(self) -> None:
        assert not scans("insert into wml.log (x) select x from y", {"log": "at"})
        assert not scans("create or replace table wml.log as select x from y", {"log": "at"})
        assert not scans("drop table if exists wml.log", {"log": "at"})

    def test_a_count_of_all_rows_reads_no_column(self) -> None:
        (scan,) = scans("select count(*) as n from wml.log", {"log": "at"})
        assert scan.is_counted_alone
        (scan,) = scans("select count(x) as n from wml.log", {"log": "at"})
        assert not scan.is_counted_alone


def catalog_of(both: Both) -> Catalog:
    project = load_project(both.bigquery)
    return Catalog(project, project.target())


MADE = {
    "of_days": ("date '2024-01-02'", "partition_by='seen'", Layout("seen", "day")),
    "of_years": ("date '2024-01-02'", "partition_by={'field': 'seen', 'granularity': 'year'}", Layout("seen", "year")),
    "of_hours": (
        "cast('2024-01-02 03:00:00+00' as {{ type('timestamp') }})",
        "partition_by={'field': 'SEEN', 'granularity': 'hour'}, partition_expiration_days=90.5,"
        " require_partition_filter=true",
        Layout("seen", "hour", (), 90.5, True),
    ),
    "of_months": (
        "cast('2024-01-02 03:00:00' as {{ 'datetime' if type('int') == 'int64' else 'timestamp' }})",
        "partition_by={'field': 'seen', 'data_type': 'datetime', 'granularity': 'month'}, cluster_by=['n', 'Word']",
        Layout("seen", "month", ("n", "word")),
    ),
    "unparted": ("date '2024-01-02'", "cluster_by='word'", Layout(cluster_by=("word",))),
}


def test_tables_are_made_as_they_say(both: Both) -> None:
    for name, (column, setting, _) in MADE.items():
        text = f"{{{{ config(materialized='table', {setting}) }}}}\nselect {column} as seen, 7 as n, 'a' as word\n"
        both.write(lambda folder, name=name, text=text: write(folder, f"sql/features/{name}.sql", text))  # type: ignore[misc]
    both.run("build", "--as-of", "2024-01-03")
    layouts = both.warehouse.layouts()
    assert {name: layouts[name] for name in MADE} == {name: layout for name, (_, _, layout) in MADE.items()}
    # An incremental relation that says nothing lies by its time.
    assert layouts["churn_requests"] == Layout("requested_at", "day")
    assert both.agree("churn_requests") == 48
    for name in MADE:
        assert both.rows(f"select n, word from {name}") == ([{"n": 7, "word": "a"}],) * 2


def test_a_changed_setting_leaves_what_is_there(both: Both) -> None:
    lay(both, "partition_by=none")
    both.run("build", "--as-of", "2024-01-03")
    assert both.warehouse.layouts()["churn_requests"] == Layout()
    before = both.rows("select definition_hash from wml.builds")
    # Of a default that came later the doctor tells, not each build.
    both.write(lambda folder: edit(folder, REQUESTS, ", partition_by=none", ""))
    _, theirs = both.run("build", "--as-of", "2024-01-04")
    assert "lies" not in theirs.err
    (found,) = misplaced(both.warehouse, catalog_of(both))
    assert not found.is_asked_for
    assert found.told == f"churn_requests lies without partitions; {REQUESTS} says by day of requested_at"
    # What somebody asked for is told by each.
    lay(both, "partition_by={'field': 'requested_at', 'granularity': 'month'}, cluster_by=['region']")
    ours, theirs = both.run("build", "--as-of", "2024-01-04")
    assert both.rows("select definition_hash from wml.builds") == before
    assert f"{REQUESTS} says by month of requested_at, sorted by region" in theirs.err
    assert "wml build churn_requests --fresh" in theirs.err
    assert "lies" not in ours.err
    both.run("build", "--as-of", "2024-01-05")
    assert both.warehouse.layouts()["churn_requests"] == Layout()
    assert both.agree("churn_requests") == 96
    # A column that is not there is told on both engines, and costs nothing that is there.
    both.write(lambda folder: edit(folder, REQUESTS, "['region']", "['regoin']"))
    for folder in (both.duckdb, both.bigquery):
        for more in ((), ("--fresh",)):
            failed = wml(folder, "build", "--as-of", "2024-01-05", *more)
            assert failed.code == 2
            assert f'{REQUESTS}: cluster_by: no column "regoin"' in failed.err
            assert 'did you mean "region"?' in failed.err
    assert both.agree("churn_requests") == 96
    both.write(lambda folder: edit(folder, REQUESTS, "['regoin']", "['region']"))
    # Built anew, by hand or because the text is another, it lies as it says.
    _, theirs = both.run("build", "--as-of", "2024-01-05", "--fresh")
    assert both.warehouse.layouts()["churn_requests"] == Layout("requested_at", "month", ("region",))
    assert "lies" not in theirs.err
    both.write(lambda folder: edit(folder, REQUESTS, "['region']", "['region', 'request_id']"))
    both.write(lambda folder: edit(folder, REQUESTS, "events.amount,", "events.amount + 1 as amount,"))
    both.run("build", "--as-of", "2024-01-05")
    assert both.warehouse.layouts()["churn_requests"] == Layout("requested_at", "month", ("region", "request_id"))
    assert both.agree("churn_requests") == 96


def test_a_table_is_not_dropped_before_its_rows_are_made(both: Both) -> None:
    def build(query: str, by: str, folder: Path) -> int:
        text = f"{{{{ config(materialized='table', partition_by={by}) }}}}\n{query}\n"
        write(folder, "sql/features/days.sql", text)
        return wml(folder, "build", "days", "--as-of", "2024-01-03").code

    by_year = "{'field': 'seen', 'granularity': 'year'}"
    assert build("select date '2024-01-02' as seen, 7 as n", "'seen'", both.bigquery) == 0
    # An error that the engine finds when it reads the rows, not before.
    query = "select date '2024-01-02' as seen, div(8, n - 1) as n from (select 1 as n) as one"
    assert build(query, by_year, both.bigquery) == 2
    assert both.warehouse.fetch("select n from days")["n"].to_pylist() == [7]
    assert both.warehouse.layouts()["days"] == Layout("seen", "day")
    assert build("select date '2024-01-02' as seen, 8 as n", by_year, both.bigquery) == 0
    assert both.warehouse.fetch("select n from days")["n"].to_pylist() == [8]
    assert both.warehouse.layouts()["days"] == Layout("seen", "year")


def test_own_tables_are_made_as_the_target_says(both: Both) -> None:
    both.warehouse.log_layout = Layout("requested_at", "month", ("alias", "request_id"))
    both.warehouse.metrics_layout = Layout("window_start", "year")
    both.run("build", "--as-of", "2024-01-02")
    layouts = both.warehouse.layouts(WML)
    assert layouts["request_log_churn"] == Layout("requested_at", "month", ("alias", "request_id"))
    assert {name for name, layout in layouts.items() if layout.field == "window_start"} == set(WINDOWED)
    assert {name: layouts[name].granularity for name in WINDOWED} == dict.fromkeys(WINDOWED, "year")
    assert layouts["metrics"].cluster_by == ("evaluation", "model", "slice_key")
    assert not list(misplaced(both.warehouse, catalog_of(both)))
    # Another setting changes nothing of what is there, and is told.
    both.warehouse.log_layout = LOGS
    both.run("build", "--as-of", "2024-01-03")
    assert both.warehouse.layouts(WML)["request_log_churn"].granularity == "month"
    (found,) = misplaced(both.warehouse, catalog_of(both))
    assert str(found.relation) == "wml.request_log_churn"
    assert found.told.startswith("wml.request_log_churn lies by month of requested_at, sorted by alias, request_id; ")
    assert "docs/bigquery.md" in found.fix
