"""Partitions through Google's client, before the emulator: statements are taken, rows are the same.

The emulator tells of no table's partitions, so each that is built whole is one that lies otherwise: it is dropped and
made anew, which is what is tested here. What partitions mean is tested on GoogleSQL, in tests/googlesql.
"""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("google.cloud.bigquery", reason='not installed: pip install "warehouse-ml[bigquery]"')

from google.api_core import exceptions as api

from tests.bigquery.test_commands import asked, write_project
from tests.emulator.start import Emulator
from tests.tiny import edit
from tests.wml import ok, rows, wml
from warehouse_ml.warehouses.bigquery.told import NEEDS_FILTER, told

REQUESTS = "sql/requests/churn_requests.sql"
SETTING = (
    "event_time='requested_at', partition_by={'field': 'requested_at', 'granularity': 'month'}, cluster_by=['region'],"
    " partition_expiration_days=4000"
)


@pytest.fixture(scope="module")
def project(bigquery_server: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = write_project(tmp_path_factory.mktemp("partitions") / "tiny", bigquery_server, "partitions")
    edit(root, REQUESTS, "event_time='requested_at'", SETTING)
    edit(
        root, "wml.toml", 'labels = { team = "tests" }', 'logs = { granularity = "month", cluster_by = ["request_id"] }'
    )
    return root


def test_built_and_built_anew_the_rows_are_the_same(project: Path) -> None:
    sql = "select request_id, requested_at, amount, visits, region from churn_requests order by request_id"
    ok(project, "build", "--as-of", "2024-01-05")
    for arguments in (("--as-of", "2024-01-04"), ("--as-of", "2024-01-05"), ("--as-of", "2024-01-05", "--fresh")):
        done = ok(project, "build", "--target", "bigquery", *arguments, "--format", "json")
        assert [row["n_rows"] for row in done.rows if row["relation"] == "churn_requests"] == [
            24 * (3 if arguments[1] == "2024-01-04" else 4)
        ]
    assert asked(project, sql) == rows(project, sql)
    assert "churn_requests lies without partitions" in done.err
    assert "wml build churn_requests --fresh" in done.err


def test_the_doctor_tells_what_lies_otherwise(project: Path) -> None:
    ok(project, "build", "--target", "bigquery", "--as-of", "2024-01-05")
    found = ok(project, "doctor", "--target", "bigquery", "--format", "json").rows
    told_of = [row for row in found if row["name"] == "partitions"]
    assert {row["outcome"] for row in told_of} == {"note"}
    shown = {row["found"].split(" lies ")[0]: row for row in told_of}
    assert shown["churn_requests"]["fix"] == "wml build churn_requests --fresh"
    assert shown["churn_requests"]["found"].endswith(
        f"{REQUESTS} says by month of requested_at, sorted by region, each kept 4000 days"
    )
    assert "says by month of requested_at, sorted by request_id" in shown["wml.request_log_churn"]["found"]
    assert "docs/bigquery.md" in shown["wml.request_log_churn"]["fix"]


def test_a_setting_that_cannot_be_is_told_at_its_place(project: Path, tmp_path: Path) -> None:
    text = (project / "wml.toml").read_text(encoding="utf-8")
    (tmp_path / "wml.toml").write_text(text.replace('granularity = "month"', 'granularity = "weak"'), encoding="utf-8")
    failed = wml(tmp_path, "build", "--target", "bigquery")
    assert failed.code == 2
    assert "wml.toml: [targets.bigquery]: logs: granularity = 'weak' cannot be" in failed.err
    assert "has:  hour, day, month, year" in failed.err


@pytest.mark.parametrize(
    ("message", "hint"),
    [
        (
            "Cannot query over table 'p.d.t' without a filter over column(s) 'requested_at' that can be used for"
            " partition elimination",
            "a condition on the column of its partitions",
        ),
        (
            "Too many partitions produced by query, allowed 4000, query produces at least 4001 partitions",
            "'granularity': 'month'",
        ),
    ],
)
def test_what_the_service_refuses_says_what_to_do(message: str, hint: str) -> None:
    error = told(api.BadRequest(message), "select 1")  # type: ignore[no-untyped-call]
    assert hint in (error.hint or "")
    assert NEEDS_FILTER not in message or NEEDS_FILTER in error.what
