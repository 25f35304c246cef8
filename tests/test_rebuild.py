"""Everything rebuilds: from scratch, and week by week, to the same relations and the same versions."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from tests.tiny import edit, write, write_tiny
from tests.wml import ok, rows

WEEKS = ("2024-01-08", "2024-01-15", "2024-01-22", "2024-01-29", "2024-02-05", "2024-02-12")
END = WEEKS[-1]
RELATIONS = ("churn_requests", "churn_labels", "region_days")
# What a manifest has of the moment and place of its making.
OF_THE_MOMENT = {"created_at", "environment", "artifact_uri", "git_commit", "as_of"}

# An incremental relation over an incremental one, with a sum whose last digits would tell another order.
REGION_DAYS = """\
{{ config(materialized='incremental', event_time='day') }}
-- grain: one row per region and day
select
    requests.region,
    {{ period_start('requests.requested_at', 'day') }} as day,
    count(*) as n_requests,
    round(sum(requests.amount), 6) as amount
from {{ ref('churn_requests') }} as requests
where requests.requested_at >= {{ window.start }} and requests.requested_at < {{ window.end }}
group by all
"""


def project(root: Path) -> Path:
    write_tiny(root)
    write(root, "sql/features/region_days.sql", REGION_DAYS)
    edit(root, "models/churn.sql", "    requests.region,\n", "    requests.region,\n    region_days.n_requests,\n")
    edit(
        root,
        "models/churn.sql",
        "on requests.request_id = labels.request_id",
        "on requests.request_id = labels.request_id\n"
        "inner join {{ ref('region_days') }} as region_days\n"
        "    on requests.region = region_days.region"
        " and {{ period_start('requests.requested_at', 'day') }} = region_days.day",
    )
    return root


def bytes_of(root: Path, relation: str) -> bytes:
    """Return a relation as one file of Parquet, in an order that depends on its rows alone."""
    with duckdb.connect(str(root / "warehouse.duckdb"), read_only=True) as connection:
        table: Any = connection.sql(f"select * from {relation} order by all").to_arrow_table()
    # Parquet, as Arrow's own format leaves whatever was in memory under a null.
    sink = pa.BufferOutputStream()
    pq.write_table(table.combine_chunks(), sink)
    return sink.getvalue().to_pybytes()


def version_of(root: Path, number: int = 1) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what a manifest says of the version, and of its files."""
    manifest = json.loads((root / "artifacts" / "churn" / str(number) / "manifest.json").read_text(encoding="utf-8"))
    return manifest["version"], manifest["files"]


def test_week_by_week_comes_to_what_one_build_comes_to(tmp_path: Path) -> None:
    weekly, once = project(tmp_path / "weekly"), project(tmp_path / "once")
    actions = set()
    for as_of in WEEKS:
        done = ok(weekly, "build", "--as-of", as_of, "--format", "json").rows
        actions |= {row["action"] for row in done if row["relation"] in ("churn_requests", "region_days")}
    assert actions == {"built", "extended"}
    ok(once, "build", "--as-of", END)
    for relation in RELATIONS:
        assert bytes_of(weekly, relation) == bytes_of(once, relation), relation
    # And once more from nothing, where the weeks were.
    done = ok(weekly, "build", "--fresh", "--as-of", END, "--format", "json").rows
    assert {row["action"] for row in done} == {"built"}
    for relation in RELATIONS:
        assert bytes_of(weekly, relation) == bytes_of(once, relation), relation


def test_a_rebuilt_project_trains_the_same_version(tmp_path: Path) -> None:
    weekly = project(tmp_path / "weekly")
    for as_of in WEEKS:
        ok(weekly, "build", "--as-of", as_of)
    ok(weekly, "train", "churn", "--as-of", END)
    # Elsewhere, from the files alone: no warehouse, no versions, another folder.
    rebuilt = tmp_path / "elsewhere" / "rebuilt"
    shutil.copytree(weekly, rebuilt, ignore=shutil.ignore_patterns("artifacts", "warehouse.duckdb*"))
    ok(rebuilt, "build", "--fresh", "--as-of", END)
    ok(rebuilt, "train", "churn", "--as-of", END)
    (one, files), (other, other_files) = version_of(weekly), version_of(rebuilt)
    assert files == other_files
    assert {"definition.sql", "scoring.sql", "facts.json", "snapshot.parquet", "parameters/model.parquet"} <= set(files)
    differing = {name for name in one if one[name] != other[name]}
    assert differing <= OF_THE_MOMENT
    assert differing == {"created_at"}
    for name in ("definition_hash", "data_hash", "metrics", "n_rows"):
        assert one[name] == other[name]
    # In place: fresh relations are the same rows, so that training knows it and makes no version.
    ok(weekly, "build", "--fresh", "--as-of", END)
    (row,) = ok(weekly, "train", "churn", "--as-of", END, "--format", "json").rows
    assert (row["version"], row["is_new"]) == (1, False)
    ok(weekly, "train", "churn", "--as-of", END, "--force")
    assert version_of(weekly, 2)[1] == files


def test_the_order_of_rows_in_the_source_changes_nothing(tmp_path: Path) -> None:
    straight, shuffled = project(tmp_path / "straight"), project(tmp_path / "shuffled")
    path = shuffled / "data" / "events.parquet"
    events = pq.read_table(path)
    pq.write_table(events.take(pa.array(range(len(events) - 1, -1, -1))), path, row_group_size=100)
    for root in (straight, shuffled):
        ok(root, "train", "churn", "--as-of", END)
    assert version_of(straight)[1] == version_of(shuffled)[1]
    assert rows(straight, "select data_hash from wml.model_versions") == rows(
        shuffled, "select data_hash from wml.model_versions"
    )
