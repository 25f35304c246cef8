"""The commands on the target bigquery, through Google's client, before the emulator."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("google.cloud.bigquery", reason='not installed: pip install "warehouse-ml[bigquery]"')

from tests.emulator.start import Emulator
from tests.tiny import edit, write_tiny
from tests.wml import Done, ok, rows, wml
from warehouse_ml.warehouses.bigquery.client import client_of
from warehouse_ml.warehouses.bigquery.settings import BigQuerySettings

SPLIT, LATER = "2024-02-05", "2024-02-19"
TARGET = """\
[targets.bigquery]
project = "wml-tests"
dataset = "{dataset}"
wml_dataset = "{wml_dataset}"
endpoint = "{endpoint}"
labels = {{ team = "tests" }}

[sources]"""


def write_project(root: Path, server: Emulator, name: str) -> Path:
    """Write the small project with a target of the emulator, whose dataset is there and empty."""
    write_tiny(root)
    names = {"dataset": f"ml_{name}_{os.getpid()}", "wml_dataset": f"wml_{name}_{os.getpid()}"}
    edit(root, "wml.toml", "[sources]", TARGET.format(endpoint=server.address, **names))
    client = client_of(BigQuerySettings("wml-tests", names["dataset"], endpoint=server.address))
    client.create_dataset(f"wml-tests.{names['dataset']}")
    client.create_dataset(f"wml-tests.{names['wml_dataset']}")
    client.close()
    return root


def asked(root: Path, sql: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = ok(root, "query", sql, "--target", "bigquery", "--format", "json").rows
    return found


@pytest.fixture(scope="module")
def built(bigquery_server: Emulator, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Done]:
    """A project that was built once, and what the command printed."""
    root = write_project(tmp_path_factory.mktemp("built") / "tiny", bigquery_server, "build")
    return root, ok(root, "build", "--target", "bigquery", "--as-of", SPLIT, "--format", "json")


class TestBuild:
    def test_a_file_of_this_machine_is_a_source(self, built: tuple[Path, Done]) -> None:
        root, done = built
        assert [(row["relation"], row["action"], row["n_rows"]) for row in done.rows] == [
            ("churn_labels", "built", None),
            ("churn_requests", "built", 35 * 24),
        ]
        ok(root, "build", "--as-of", SPLIT)
        sql = "select request_id, requested_at, amount, visits, region from churn_requests order by request_id"
        assert asked(root, sql) == rows(root, sql)
        sql = "select request_id, has_churned, known_at from churn_labels order by request_id"
        assert asked(root, sql) == rows(root, sql)

    def test_what_was_read_is_told(self, built: tuple[Path, Done]) -> None:
        assert "jobs on bigquery, which read" in built[1].err

    def test_a_second_build_finds_it_up_to_date(self, built: tuple[Path, Done]) -> None:
        done = ok(built[0], "build", "--target", "bigquery", "--as-of", SPLIT, "--format", "json")
        assert {row["action"] for row in done.rows} == {"up to date"}

    def test_a_limit_stops_the_command_before_the_query(self, built: tuple[Path, Done], tmp_path: Path) -> None:
        root = built[0]
        refused = wml(root, "build", "--target", "bigquery", "--as-of", LATER, "--max-bytes", "3MB")
        assert refused.code == 1
        assert "the limit is 3,000,000: it was not run" in refused.err
        assert asked(root, "select count(*) as n from churn_requests") == [{"n": 35 * 24}]

    def test_a_later_clock_extends_it(self, built: tuple[Path, Done]) -> None:
        root = built[0]
        done = ok(root, "build", "--target", "bigquery", "--as-of", LATER, "--format", "json", "--max-bytes", "1GB")
        assert ("churn_requests", "extended", 49 * 24) in [
            (row["relation"], row["action"], row["n_rows"]) for row in done.rows
        ]

    def test_a_query_changes_nothing(self, built: tuple[Path, Done]) -> None:
        refused = wml(built[0], "query", "delete from churn_requests where true", "--target", "bigquery")
        assert refused.code == 2
        assert "reading alone" in refused.err

    def test_compile_tells_what_a_query_would_read(self, built: tuple[Path, Done]) -> None:
        shown = ok(built[0], "compile", "churn_requests", "--target", "bigquery", "--as-of", LATER, "--bytes")
        assert "events%2Eparquet" in shown.out
        assert "would read 1,000,000 bytes (1.0 MB)" in shown.err

    def test_an_error_is_at_its_line_of_the_users_file(self, built: tuple[Path, Done], tmp_path: Path) -> None:
        root = Path(shutil.copytree(built[0], tmp_path / "tiny"))
        edit(root, "sql/requests/churn_requests.sql", "events.amount,", "events.amont,")
        failed = wml(root, "build", "--target", "bigquery", "--as-of", LATER)
        assert failed.code == 2
        assert "sql/requests/churn_requests.sql" in failed.err
        assert "amont" in failed.err
        assert "Traceback" not in failed.err


class TestDuckDBCountsNoBytes:
    def test_a_limit_is_refused(self, tiny: Path) -> None:
        refused = wml(tiny, "build", "--max-bytes", "1GB")
        assert refused.code == 2
        assert "counts no bytes" in refused.err

    def test_so_does_compile_say(self, tiny: Path) -> None:
        ok(tiny, "build", "--as-of", SPLIT)
        assert "counts no bytes" in ok(tiny, "compile", "churn_requests", "--bytes").err

    def test_a_limit_that_is_no_number(self, tiny: Path) -> None:
        refused = wml(tiny, "run", "--max-bytes", "lots")
        assert refused.code == 2
        assert '"lots" is not a number of bytes' in refused.err


class TestDoctor:
    @pytest.fixture
    def project(self, bigquery_server: Emulator, tmp_path: Path) -> Iterator[Path]:
        return write_project(tmp_path / "tiny", bigquery_server, f"doctor_{abs(hash(str(tmp_path)))}")

    def test_everything_is_ready(self, project: Path) -> None:
        done = ok(project, "doctor", "--target", "bigquery", "--format", "json")
        found = {row["name"]: row["outcome"] for row in done.rows}
        assert list(found) == [
            *("files", "versions", "settings", "packages", "credentials", "jobs", "dataset", "wml dataset"),
            *("tables", "transactions", "storage api", "limits"),
        ]
        assert set(found.values()) <= {"ok", "note"}
        shown = ok(project, "doctor", "--target", "bigquery")
        assert "everything is ready" in shown.out
        assert "fix: set maximum_bytes_billed" in shown.out

    def test_nothing_is_left_of_it(self, project: Path) -> None:
        ok(project, "doctor", "--target", "bigquery")
        again = ok(project, "doctor", "--target", "bigquery", "--format", "json").rows
        assert "empty yet" in next(row["found"] for row in again if row["name"] == "wml dataset")

    @pytest.mark.parametrize(
        ("old", "new", "failed", "says"),
        [
            ('dataset = "ml_', 'dataset = "nothing_', "dataset", "bq mk --dataset wml-tests:nothing_"),
            ("endpoint", 'location = "EU"\nendpoint', "dataset", 'write location = "US"'),
            ('labels = { team = "tests" }', "datset = 1", "settings", 'did you mean "dataset"?'),
            ('endpoint = "', 'endpoint = "http://127.0.0.1:9" # "', "jobs", "run it again"),
            (
                'endpoint = "http://',
                'endpoint = "http://no such address/',
                "jobs",
                "is the endpoint in wml.toml right?",
            ),
        ],
    )
    def test_what_fails_says_what_to_do(self, project: Path, old: str, new: str, failed: str, says: str) -> None:
        edit(project, "wml.toml", old, new)
        done = wml(project, "doctor", "--target", "bigquery", "--format", "json")
        assert done.code == 3
        found = {row["name"]: row for row in done.rows}
        assert found[failed]["outcome"] == "failed"
        assert says in found[failed]["fix"]
        after = [row["outcome"] for row in done.rows][list(found).index(failed) + 1 :]
        assert set(after) <= {"skipped"}
        shown = wml(project, "doctor", "--target", "bigquery")
        assert shown.code == 3
        assert "1 to mend" in shown.out

    def test_a_file_that_does_not_render(self, tiny: Path) -> None:
        edit(tiny, "sql/features/churn_labels.sql", "{{ as_of }}", "{{ as_off }}")
        done = wml(tiny, "doctor")
        assert done.code == 3
        assert "as_off" in done.out

    def test_a_duckdb_file_that_another_process_holds(self, tiny: Path) -> None:
        import subprocess
        import sys

        ok(tiny, "build", "--as-of", SPLIT)
        found = {row["name"]: row for row in ok(tiny, "doctor", "--format", "json").rows}
        assert found["relations"]["found"] == "2 built"
        assert found["engine"]["found"].startswith("DuckDB v")
        code = "import duckdb, sys; c = duckdb.connect('warehouse.duckdb'); print('open', flush=True); sys.stdin.read()"
        holder = subprocess.Popen([sys.executable, "-c", code], cwd=tiny, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline()
            done = wml(tiny, "doctor", "--format", "json")
        finally:
            holder.communicate()
        assert done.code == 3
        assert next(row for row in done.rows if row["name"] == "lock")["outcome"] == "failed"


class TestCopy:
    @pytest.mark.slow
    def test_a_history_goes_to_bigquery_and_comes_back(self, bigquery_server: Emulator, tmp_path: Path) -> None:
        root = write_project(tmp_path / "tiny", bigquery_server, "copy")
        edit(root, "wml.toml", "[sources]", '[targets.back]\ntype = "duckdb"\npath = "back.duckdb"\n\n[sources]')
        ok(root, "run", "--as-of", SPLIT)
        ok(root, "run", "--as-of", LATER)
        there = ok(root, "copy", "--from", "duckdb", "--to", "bigquery", "--format", "json").rows
        assert {row["table"]: row["n_rows"] for row in there}["request_log_churn"] == 14 * 24
        assert "read" in ok(root, "copy", "--from", "duckdb", "--to", "bigquery", "--dry-run").err
        again = ok(root, "copy", "--from", "duckdb", "--to", "bigquery", "--format", "json").rows
        assert {row["action"] for row in again} == {"same"}
        back = ok(root, "copy", "--from", "bigquery", "--to", "back", "--format", "json").rows
        assert {row["table"]: row["digest"] for row in back} == {row["table"]: row["digest"] for row in there}
        for sql in (
            "select request_id, requested_at, score, prediction, amount, visits from wml.request_log_churn",
            "select count(*) as n, count(distinct request_id) as n_ids from wml.request_log",
            "select model, version, artifact_hash from wml.model_versions",
            "select slice_value, metric, value, ci_lower, n from wml.metrics",
        ):
            ours = sorted(map(str, rows(root, sql)))
            assert sorted(map(str, asked(root, sql))) == ours
