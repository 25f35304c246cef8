"""How tables lie on BigQuery: what a weekly run reads of them, how they are made, and when they are made anew."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.googlesql.both import Both, playing
from tests.googlesql.partitions import scans
from tests.googlesql.warehouse import Asked, GoogleSqlWarehouse
from tests.tiny import edit, write
from tests.wml import wml
from warehouse_ml import templates
from warehouse_ml.building.layout import misplaced
from warehouse_ml.catalog import Catalog
from warehouse_ml.project import load_project
from warehouse_ml.tables import WINDOWED, ensure_tables
from warehouse_ml.warehouses.base import WML, LaysOut, Relation
from warehouse_ml.warehouses.bigquery.rewrite import relation_read
from warehouse_ml.warehouses.layout import Layout

PROVES = ("loop/closed_until.sql", "loop/open_since.sql", "loop/drift_current.sql")

REQUESTS = "sql/requests/churn_requests.sql"
FIELDS = {"churn_requests": "requested_at", "request_log_churn": "requested_at"}

READ_WHOLE = {
    "building/example_overlap.sql": "a request's id must be its own among those of all time",
    "evaluation/late_labels.sql": "an answer may come late for a request of any day",
}
"""Statements of a weekly run that read a request log, or requests, from the first day on, and why."""


@pytest.fixture
def sent(tmp_path: Path) -> Iterator[tuple[Both, list[Asked]]]:
    asked: list[Asked] = []
    with playing(Both(tmp_path, n_events=600, on_statement=asked.append)) as both:
        yield both, asked


def file_of(sql: str) -> str:
    """Return the toolkit's file that a statement is rendered from: of several parts, the whole."""
    found = [
        (len(text), f"{package.removeprefix('warehouse_ml.').replace('.', '/')}/{file}")
        for (package, file, engine, _), text in templates._rendered.items()
        if engine == "bigquery" and any(part.strip() and part.strip() in sql for part in text.split(";\n"))
    ]
    return max(found)[1] if found else sql


class TestWhatAWeekReads:
    def test_each_statement_says_when(self, sent: tuple[Both, list[Asked]]) -> None:
        both, asked = sent
        both.run("run", "--since", "2024-01-08", "--as-of", "2024-01-15")
        seen: set[str] = set()
        for as_of in ("2024-01-22", "2024-01-26"):
            asked.clear()
            both.run("run", "--as-of", as_of)
            for statement in (statement for statement in asked if statement.is_run):
                for scan in scans(statement.sql, FIELDS):
                    file = file_of(statement.sql)
                    seen.add(f"{file} {scan.table}")
                    if not scan.is_from and not scan.is_counted_alone:
                        assert file in READ_WHOLE, f"{file} reads {scan.table} from the first day on:\n{statement.sql}"
        # The exceptions are those that there are, and the rest is what a week is known to do.
        assert {f"{file}" for file in READ_WHOLE} <= {name.split()[0] for name in seen}
        assert {
            "requests/open_periods.sql request_log_churn",
            "requests/pending.sql request_log_churn",
            "loop/open_since.sql request_log_churn",
            "evaluation/rows.sql request_log_churn",
            "evaluation/label_warnings.sql request_log_churn",
            "evaluation/drift_rows.sql request_log_churn",
            "building/replace_window.sql churn_requests",
        } <= seen

    def test_it_comes_to_the_same_with_late_and_corrected_answers(self, sent: tuple[Both, list[Asked]]) -> None:
        both, _ = sent

        def label(of: str) -> None:
            both.write(
                lambda folder: write(
                    folder,
                    "sql/features/churn_labels.sql",
                    "select events.request_id, {} as has_churned, {} as known_at from {{{{ source('events') }}}} as events "
                    "where {} <= {{{{ as_of }}}}\n".format(of, *[known_at] * 2),
                )
            )

        # A third of the answers comes nine days later than the others, after their window was closed.
        late = "case when events.region = 'south' then {{ add_interval('events.requested_at', 12, 'day') }} else "
        known_at = late + "{{ add_interval('events.requested_at', 3, 'day') }} end"
        label("events.has_churned")
        for as_of in ("2024-01-15", "2024-01-19", "2024-01-22", "2024-01-26"):
            both.run("run", *(("--since", "2024-01-08") if as_of == "2024-01-15" else ()), "--as-of", as_of)
        # Answers are corrected, for every request there ever was.
        label("not events.has_churned")
        both.run("evaluate", "--as-of", "2024-01-26", "--restate")
        both.run("run", "--as-of", "2024-01-30")
        hashes = ("content_hash", "rows_hash", "definition_hash")
        assert both.agree("wml.evaluations", but=hashes) >= 6
        assert both.agree("wml.metrics") > 200
        assert both.agree("wml.drift") > 50
        assert both.agree("wml.request_log_churn", but=("definition_hash",)) > 400


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


def lay(both: Both, setting: str) -> None:
    both.write(
        lambda folder: edit(folder, REQUESTS, "event_time='requested_at'", f"event_time='requested_at', {setting}")
    )


class TestHowRelationsAreMade:
    def test_an_incremental_relation_lies_by_its_time(self, both: Both) -> None:
        both.run("build", "--as-of", "2024-01-03")
        assert both.warehouse.layouts()["churn_requests"] == Layout("requested_at", "day")
        assert both.agree("churn_requests") == 48

    def test_it_need_not(self, both: Both) -> None:
        lay(both, "partition_by=none, cluster_by='region'")
        both.run("build", "--as-of", "2024-01-03")
        assert both.warehouse.layouts()["churn_requests"] == Layout(cluster_by=("region",))

    @pytest.mark.parametrize(
        ("column", "setting", "expected"),
        [
            ("date '2024-01-02'", "partition_by='at'", Layout("at", "day")),
            ("date '2024-01-02'", "partition_by={'field': 'at', 'granularity': 'year'}", Layout("at", "year")),
            (
                "timestamp '2024-01-02 03:00:00+00'",
                "partition_by={'field': 'AT', 'granularity': 'hour'}",
                Layout("at", "hour"),
            ),
            (
                "cast('2024-01-02 03:00:00' as {{ 'datetime' if is_bigquery else 'timestamp' }})",
                "partition_by={'field': 'at', 'data_type': 'datetime', 'granularity': 'month'}, cluster_by=['n', 'word']",
                Layout("at", "month", ("n", "word")),
            ),
        ],
    )
    def test_a_table_lies_as_it_says(self, both: Both, column: str, setting: str, expected: Layout) -> None:
        for folder in (both.duckdb, both.bigquery):
            of_engine = column.replace("timestamp '2024-01-02 03", "timestamptz '2024-01-02 03")
            of_engine = of_engine if folder == both.duckdb else column
            flag = "true" if folder == both.bigquery else "false"
            text = f"{{{{ config(materialized='table', {setting}) }}}}{{% set is_bigquery = {flag} %}}"
            write(folder, "sql/features/days.sql", f"{text}\nselect {of_engine} as at, 7 as n, 'a' as word\n")
        both.run("build", "days", "--as-of", "2024-01-03")
        assert both.warehouse.layouts()["days"] == expected
        assert both.agree("days") == 1

    def test_the_settings_are_told_to_the_engine(self, both: Both) -> None:
        lay(both, "partition_expiration_days=90.5, require_partition_filter=true")
        both.run("build", "--as-of", "2024-01-03")
        assert both.warehouse.layouts()["churn_requests"] == Layout("requested_at", "day", (), 90.5, True)

    def test_a_column_that_is_not_there_is_an_error_on_both(self, both: Both) -> None:
        both.run("build", "--as-of", "2024-01-03")
        lay(both, "partition_by='requested_on', cluster_by=['region']")
        for folder in (both.duckdb, both.bigquery):
            for more in ((), ("--fresh",)):
                failed = wml(folder, "build", "--as-of", "2024-01-03", *more)
                assert failed.code == 2
                assert f'{REQUESTS}: partition_by: no column "requested_on"' in failed.err
                assert 'did you mean "requested_at"?' in failed.err
        # What was there is there.
        assert both.agree("churn_requests") == 48

    def test_the_rows_are_those_of_before(self, both: Both) -> None:
        both.run("build", "--as-of", "2024-01-03")
        before = both.rows("select definition_hash from wml.builds")
        lay(both, "partition_by={'field': 'requested_at', 'granularity': 'month'}, cluster_by=['region']")
        done, _ = both.run("build", "--as-of", "2024-01-03", "--format", "json")
        assert {row["action"] for row in done.rows} == {"up to date"}
        assert both.rows("select definition_hash from wml.builds") == before


class TestAChangedSetting:
    def test_what_is_there_stays_and_the_fix_is_told(self, both: Both) -> None:
        both.run("build", "--as-of", "2024-01-03")
        lay(both, "partition_by={'field': 'requested_at', 'granularity': 'month'}, cluster_by=['region']")
        ours, theirs = both.run("build", "--as-of", "2024-01-04")
        assert both.warehouse.layouts()["churn_requests"] == Layout("requested_at", "day")
        assert both.agree("churn_requests") == 72
        assert "lies by day of requested_at" in theirs.err
        assert f"{REQUESTS} says by month of requested_at, sorted by region" in theirs.err
        assert "wml build churn_requests --fresh" in theirs.err
        assert "lies" not in ours.err
        _, theirs = both.run("build", "--as-of", "2024-01-04", "--fresh")
        assert both.warehouse.layouts()["churn_requests"] == Layout("requested_at", "month", ("region",))
        assert both.agree("churn_requests") == 72
        assert "lies" not in theirs.err

    def test_a_new_text_is_built_anew_as_it_is_set(self, both: Both) -> None:
        both.run("build", "--as-of", "2024-01-03")
        lay(both, "partition_by={'field': 'requested_at', 'granularity': 'month'}")
        both.write(lambda folder: edit(folder, REQUESTS, "events.amount,", "events.amount + 1 as amount,"))
        both.run("build", "--as-of", "2024-01-03")
        assert both.warehouse.layouts()["churn_requests"] == Layout("requested_at", "month")
        assert both.agree("churn_requests") == 48

    def test_a_table_is_not_dropped_before_its_rows_are_made(self, both: Both) -> None:
        def text(query: str, by: str) -> None:
            both.write(
                lambda folder: write(
                    folder,
                    "sql/features/days.sql",
                    f"{{{{ config(materialized='table', partition_by={by}) }}}}\n{query}\n",
                )
            )

        text("select date '2024-01-02' as at, 7 as n", "'at'")
        both.run("build", "days", "--as-of", "2024-01-03")
        text("select date '2024-01-02' as at, 7 + nothing as n", "{'field': 'at', 'granularity': 'year'}")
        failed = wml(both.bigquery, "build", "days", "--as-of", "2024-01-03")
        assert failed.code == 2
        assert both.warehouse.fetch("select n from days")["n"].to_pylist() == [7]
        text("select date '2024-01-02' as at, 8 as n", "{'field': 'at', 'granularity': 'year'}")
        both.run("build", "days", "--as-of", "2024-01-03")
        assert both.agree("days") == 1
        assert both.warehouse.layouts()["days"] == Layout("at", "year")

    def test_defaults_are_told_by_the_doctor_alone(self, both: Both) -> None:
        lay(both, "partition_by=none")
        both.run("build", "--as-of", "2024-01-03")
        both.write(lambda folder: edit(folder, REQUESTS, ", partition_by=none", ""))
        _, theirs = both.run("build", "--as-of", "2024-01-03")
        assert "lies" not in theirs.err
        (found,) = misplaced(both.warehouse, catalog_of(both))
        assert not found.is_asked_for
        assert found.told == f"churn_requests lies without partitions; {REQUESTS} says by day of requested_at"


def catalog_of(both: Both) -> Catalog:
    project = load_project(both.bigquery)
    return Catalog(project, project.target())


class TestReadWithAFilterAlone:
    def test_every_statement_of_ours_has_one(self, sent: tuple[Both, list[Asked]]) -> None:
        both, asked = sent
        lay(both, "require_partition_filter=true")
        both.write(
            lambda folder: edit(
                folder,
                "models/churn.sql",
                "on requests.request_id = labels.request_id",
                "on requests.request_id = labels.request_id\nwhere requests.requested_at < {{ as_of }}",
            )
        )
        both.run("run", "--since", "2024-01-08", "--as-of", "2024-01-15")
        # A feature whose type grows in the log, and a request relation that is built whole.
        both.write(lambda folder: edit(folder, REQUESTS, "events.visits,", "events.visits * 0.5e0 as visits,"))
        both.run("run", "--as-of", "2024-01-22")
        n_scans = 0
        for statement in asked:
            if not statement.is_run and relation_read(statement.sql) is not None:
                # What columns a table has is told apart from its rows.
                continue
            for scan in scans(statement.sql, {"churn_requests": "requested_at"}):
                n_scans += 1
                assert scan.is_named, statement.sql
        assert n_scans > 15


class TestOwnTables:
    def test_they_are_made_as_the_target_says(self, both: Both) -> None:
        both.warehouse.log_layout = Layout("requested_at", "month", ("alias", "request_id"))
        both.warehouse.metrics_layout = Layout("window_start", "year")
        both.run("build", "--as-of", "2024-01-02")
        layouts = both.warehouse.layouts(WML)
        assert layouts["request_log_churn"] == Layout("requested_at", "month", ("alias", "request_id"))
        assert {name: layouts[name].granularity for name in WINDOWED} == dict.fromkeys(WINDOWED, "year")
        assert layouts["metrics"].cluster_by == ("evaluation", "model", "slice_key")
        assert not list(misplaced(both.warehouse, catalog_of(both)))

    def test_those_that_lie_otherwise_are_told_and_left_alone(self, both: Both) -> None:
        both.run("build", "--as-of", "2024-01-02")
        both.warehouse.log_layout = Layout("requested_at", "month", ("version", "request_id"))
        both.run("build", "--as-of", "2024-01-03")
        assert both.warehouse.layouts(WML)["request_log_churn"].granularity == "day"
        (found,) = misplaced(both.warehouse, catalog_of(both))
        assert str(found.relation) == "wml.request_log_churn"
        assert found.told.startswith(
            "wml.request_log_churn lies by day of requested_at, sorted by version, request_id; "
        )
        assert "docs/bigquery.md" in found.fix

    def test_windowed_tables_are_those_of_windows(self) -> None:
        warehouse = GoogleSqlWarehouse()
        ensure_tables(warehouse)
        assert isinstance(warehouse, LaysOut)
        found = {name for name, layout in warehouse.layouts(WML).items() if layout.field == "window_start"}
        assert found == set(WINDOWED)

    def test_an_engine_without_partitions_has_nothing_to_tell(self, both: Both) -> None:
        both.run("build", "--as-of", "2024-01-02")
        assert not list(misplaced(object(), catalog_of(both)))  # type: ignore[arg-type]
        assert Relation("x") == Relation("x", None)
