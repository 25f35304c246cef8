"""``wml copy``: a project's history from one warehouse to another."""

from __future__ import annotations

import datetime as dt
import math
import shutil
from pathlib import Path

import pyarrow as pa
import pytest

from tests.tiny import edit, write_tiny
from tests.wml import ok, rows, wml
from warehouse_ml.copying.digests import digest_of, digests

SPLIT, LATER, END = "2024-02-05", "2024-02-19", "2024-03-04"


@pytest.fixture(scope="module")
def lived_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = write_tiny(tmp_path_factory.mktemp("lived") / "tiny")
    edit(root, "wml.toml", "[sources]", '[targets.other]\ntype = "duckdb"\npath = "other.duckdb"\n\n[sources]')
    ok(root, "run", "--as-of", SPLIT)
    ok(root, "run", "--as-of", LATER)
    return root


@pytest.fixture
def lived(lived_once: Path, tmp_path: Path) -> Path:
    """A project that has trained, predicted and evaluated on one of its two warehouses."""
    return Path(shutil.copytree(lived_once, tmp_path / "tiny"))


def there(root: Path, sql: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = ok(root, "query", sql, "--target", "other", "--format", "json").rows
    return found


def test_all_of_the_history_is_there_and_the_same(lived: Path) -> None:
    done = ok(lived, "copy", "--from", "duckdb", "--to", "other", "--format", "json").rows
    copied = {row["table"]: row for row in done}
    assert copied["request_log_churn"]["n_rows"] == 14 * 24
    assert copied["metrics"]["n_rows"] > 50
    assert {row["action"] for row in done if row["n_rows"]} == {"copied"}
    for sql in (
        "select * from wml.request_log_churn order by request_id",
        "select * from wml.request_log order by request_id",
        "select * from wml.metrics order by all",
        "select * from wml.latest_metrics order by all",
        "select * from wml.training_runs order by run_id",
        "select * from wml.model_versions",
        "select * from wml.model_aliases",
    ):
        ours = rows(lived, sql)
        assert ours
        assert there(lived, sql) == ours, sql


def test_which_relations_are_built_is_not_copied(lived: Path) -> None:
    ok(lived, "copy", "--from", "duckdb", "--to", "other")
    assert there(lived, "select count(*) as n from wml.builds") == [{"n": 0}]
    built = ok(lived, "build", "--target", "other", "--as-of", LATER, "--format", "json").rows
    assert {row["action"] for row in built} == {"built"}


def test_a_second_copy_writes_what_came_since(lived: Path) -> None:
    ok(lived, "copy", "--from", "duckdb", "--to", "other")
    again = ok(lived, "copy", "--from", "duckdb", "--to", "other", "--format", "json").rows
    assert {(row["action"], row["n_new"]) for row in again} == {("same", 0)}
    ok(lived, "run", "--as-of", END)
    later = {
        row["table"]: row for row in ok(lived, "copy", "--from", "duckdb", "--to", "other", "--format", "json").rows
    }
    assert later["request_log_churn"]["action"] == "extended"
    assert later["request_log_churn"]["n_new"] == 14 * 24
    assert there(lived, "select count(*) as n from wml.request_log") == [{"n": 28 * 24}]


def test_the_loop_goes_on_where_it_was_copied_to(lived: Path) -> None:
    ok(lived, "copy", "--from", "duckdb", "--to", "other")
    ok(lived, "run", "--as-of", END, "--target", "other")
    ok(lived, "run", "--as-of", END)
    sql = (
        "select evaluation, version, window_start, slice_key, slice_value, metric, value"
        " from wml.latest_metrics order by all"
    )
    # Rows of another place may be added up in another order: the last digit of a double may differ.
    for copied, own in zip(there(lived, sql), rows(lived, sql), strict=True):
        value = own.pop("value")
        assert copied.pop("value") == (None if value is None else pytest.approx(value, rel=1e-12))
        assert copied == own


def test_a_dry_run_writes_nothing(lived: Path) -> None:
    done = ok(lived, "copy", "--from", "duckdb", "--to", "other", "--dry-run")
    assert "nothing was written" in done.err
    assert "request_log_churn" in done.out
    assert there(lived, "select count(*) as n from wml.metrics") == [{"n": 0}]


def test_rows_of_the_targets_own_are_not_mixed_in(lived: Path) -> None:
    ok(lived, "run", "--as-of", SPLIT, "--target", "other")
    ok(lived, "run", "--as-of", END, "--target", "other")
    before = there(lived, "select count(*) as n, sum(value) as total from wml.metrics")
    refused = wml(lived, "copy", "--from", "duckdb", "--to", "other")
    assert refused.code == 2
    assert "other has rows that duckdb has not: wml." in refused.err
    assert "--replace" in refused.err
    assert there(lived, "select count(*) as n, sum(value) as total from wml.metrics") == before
    ok(lived, "copy", "--from", "duckdb", "--to", "other", "--replace")
    sql = "select * from wml.metrics order by all"
    assert there(lived, sql) == rows(lived, sql)


def test_a_warehouse_is_not_copied_to_itself(lived: Path) -> None:
    refused = wml(lived, "copy", "--from", "duckdb", "--to", "duckdb")
    assert refused.code == 2
    assert 'both "duckdb"' in refused.err


def test_rows_are_told_apart_by_every_bit() -> None:
    base = {"x": [0.1], "n": [1], "text": ["1"], "at": [dt.datetime(2024, 1, 1, tzinfo=dt.UTC)], "is": [True]}
    names = sorted(base)
    first = digest_of(digests(pa.table(base), names))
    others = [
        base | {"x": [math.nextafter(0.1, 1)]},
        base | {"x": [-0.1]},
        base | {"x": [None]},
        base | {"n": [2]},
        base | {"text": [None]},
        base | {"text": [""]},
        base | {"at": [dt.datetime(2024, 1, 1, 0, 0, 0, 1, tzinfo=dt.UTC)]},
        base | {"is": [False]},
    ]
    found = [digest_of(digests(pa.table(other), names)) for other in others]
    assert first not in found
    assert len(set(found)) == len(found)
    zeros = [digest_of(digests(pa.table({"x": [zero]}), ["x"])) for zero in (0.0, -0.0)]
    assert zeros[0] != zeros[1]


def test_rows_are_the_same_whatever_holds_them() -> None:
    utc = pa.array([dt.datetime(2024, 1, 1, 12)], pa.timestamp("us", "UTC"))
    one = pa.table({"N": pa.array([1], pa.int32()), "text": pa.array(["a"]).dictionary_encode(), "at": utc})
    two = pa.table({"at": utc.cast(pa.timestamp("us", "Asia/Tokyo")), "n": pa.array([1], pa.int64()), "text": ["a"]})
    names = ["at", "n", "text", "unknown"]
    assert digest_of(digests(one, names)) == digest_of(digests(two, names))
    twice = pa.concat_tables([two, two])
    assert digest_of(digests(two, names)) != digest_of(digests(twice, names))
