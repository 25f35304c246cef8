"""The weekly job on a real project of Google Cloud, beside DuckDB: pytest -m bigquery --project my-project.

With the same options the conformance suite runs on the project, too. Both make datasets of their own, which are
dropped at the end, and expire by themselves within the hour; they are billed for a few hundred queries of 10 MB, the
least there is.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conformance.adapters import bigquery_project
from tests.tiny import edit, write_tiny
from tests.wml import ok, rows

SPLIT, LATER = "2024-02-05", "2024-02-19"


@pytest.mark.bigquery
def test_a_project_lives_there_as_it_does_here(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    project = request.config.getoption("--project")
    if not project:
        pytest.skip("asks a real project: pytest -m bigquery --project my-project")
    pytest.importorskip("google.cloud.bigquery", reason='not installed: pip install "warehouse-ml[bigquery]"')
    with bigquery_project(project, request.config.getoption("--location")) as engine:
        settings = engine.open().settings  # type: ignore[attr-defined]
        here, there = write_tiny(tmp_path / "here"), write_tiny(tmp_path / "there")
        lines = [
            "[targets.bigquery]",
            f'project = "{project}"',
            f'dataset = "{settings.dataset}"',
            f'wml_dataset = "{settings.wml_dataset}"',
            'maximum_bytes_billed = "100MB"',
        ]
        if settings.location:
            lines.append(f'location = "{settings.location}"')
        edit(there, "wml.toml", "[targets.duckdb]", "\n".join([*lines, "", "[targets.duckdb]"]))
        ok(there, "doctor")
        for folder in (here, there):
            ok(folder, "run", "--as-of", SPLIT)
            ok(folder, "run", "--as-of", LATER)
        for sql in (
            "select request_id, version, prediction from wml.request_log order by request_id",
            "select slice_value, metric, n from wml.latest_metrics order by slice_value, metric",
        ):
            assert rows(there, sql) == rows(here, sql)
        sql = "select slice_value, metric, value from wml.latest_metrics where value is not null order by 1, 2"
        for theirs, ours in zip(rows(there, sql), rows(here, sql), strict=True):
            assert theirs == ours | {"value": pytest.approx(ours["value"], rel=1e-9, abs=1e-12)}
