"""Requests answered and logged, who shares them out, and the answers replayed: the same on both engines."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.googlesql.both import Both
from tests.googlesql.trained import trained
from tests.tiny import edit
from tests.wml import ok, wml

PROVES = (
    "replay/asked.sql",
    "replay/build_of.sql",
    "replay/compared.sql",
    "replay/definition.sql",
    "replay/logged.sql",
    "replay/score_of_arrays.sql",
    "replay/score_of_input.sql",
    "replay/similar.sql",
    "replay/threshold.sql",
    "replay/versions_logged.sql",
    "replay/window.sql",
    "requests/append_log.sql",
    "requests/common_types.sql",
    "requests/create_log.sql",
    "requests/open_periods.sql",
    "requests/pending.sql",
    "requests/score.sql",
    "requests/scored_rows.sql",
    "requests/shared_log.sql",
    "requests/widen.sql",
    "warehouses/add_column.sql",
)

LOG, SHARED = "wml.request_log_churn", "wml.request_log"
# A hash of what stands in wml.toml, which names another source on each side.
BUT = ("definition_hash",)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    with trained(tmp_path_factory.mktemp("trained")) as project:
        promote = ("promote", "churn@2", "--reason", "a try", "--as-of")
        project.run(*promote, "2024-01-08", "--alias", "challenger")
        project.run(*promote, "2024-01-09", "--alias", "canary", "--share", "0.4")
        for clock in ("2024-01-07", "2024-01-08 12:00:00", "2024-01-11"):
            project.run("predict", "--as-of", clock)
        yield project


def test_requests_are_answered_once_by_whom_they_were_made_of(both: Both) -> None:
    n_rows = both.agree(LOG, but=BUT)
    assert n_rows == both.agree(SHARED, but=BUT)
    by = both.rows(f"select alias, version, count(*) as n from {LOG} group by alias, version")
    assert sorted(by[0], key=str) == sorted(by[1], key=str)
    assert {(row["alias"], row["version"]) for row in by[0]} == {("champion", 1), ("challenger", 2), ("canary", 2)}
    done = both.run("predict", "--as-of", "2024-01-11")
    assert done[0].out == done[1].out
    assert both.agree(LOG, but=BUT) == n_rows


def test_requests_that_came_late_are_answered_late(both: Both) -> None:
    both.warehouse.run(f"delete from {LOG} where request_id in ('r100', 'r130') and version = 1")
    sql: list[str] = []
    both.warehouse._on_statement = lambda asked: sql.append(asked.sql)
    ok(both.bigquery, "predict", "--as-of", "2024-01-11")
    both.warehouse._on_statement = None
    both.agree(LOG, but=(*BUT, "logged_at"))
    pending = [text for text in sql if "create or replace temp table `_wml_pending_requests`" in text]
    # Of the champion's days, those alone are read on which an answer is missing; by constants, so that the other days'
    # partitions are not touched.
    assert len(pending) == 1
    assert "requests.requested_at >= CAST('2024-01-05 00:00:00+00' AS TIMESTAMP)" in pending[0]
    assert "requests.requested_at < CAST('2024-01-07 00:00:00+00' AS TIMESTAMP)" in pending[0]
    log = next(text for text in sql if "_wml_pending" not in text and "as logged" in text)
    assert "logged.requested_at >= CAST(" in log
    assert "logged.requested_at < CAST(" in log


@pytest.mark.parametrize(
    "arguments",
    [
        ("r120",),
        ("r190", "--model", "churn"),
        ("--all", "--model", "churn"),
        ("--all", "--model", "churn", "--by", "sql", "--version", "1"),
        ("--model", "churn", "--by", "arrays", "--since", "2024-01-05", "--until", "2024-01-09"),
        ("--model", "churn", "--window", "2024-01-09"),
    ],
)
def test_answers_are_replayed_to_the_bit(both: Both, arguments: tuple[str, ...]) -> None:
    done = [wml(folder, "replay", *arguments, "--format", "json") for folder in (both.duckdb, both.bigquery)]
    assert [one.code for one in done] == [0, 0], done[1].err
    # A single answer that is another now is told by the exit code alone.
    if len(arguments) > 1 and arguments[0] != "r190":
        assert all("replayed: 0 differences" in one.err for one in done)


def test_a_request_that_nobody_asked_is_told_with_its_neighbours(both: Both) -> None:
    done = [wml(folder, "replay", "r12x") for folder in (both.duckdb, both.bigquery)]
    assert done[0].err == done[1].err
    assert "r12" in done[0].err


def test_a_feature_of_a_wider_type_widens_its_column_of_the_log(both: Both) -> None:
    request = "sql/requests/churn_requests.sql"
    both.write(
        lambda folder: edit(folder, request, "events.visits,", "{{ as_double('events.visits') }} / 2e0 as visits,")
    )
    both.run("predict", "--as-of", "2024-01-12")
    assert both.agree(LOG, but=(*BUT, "logged_at")) > 0
    assert any(row["visits"] % 1 for row in both.rows(f"select visits from {LOG} where visits is not null")[1])
    both.write(
        lambda folder: edit(folder, request, "{{ as_double('events.visits') }} / 2e0 as visits,", "events.visits,")
    )
