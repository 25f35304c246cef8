"""Versions and aliases: whole or not at all, in order, checked."""

from __future__ import annotations

import datetime as dt
import itertools
import multiprocessing
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tiny import write_tiny
from tests.wml import ok, wml
from warehouse_ml.errors import ArtifactError, VersionNotFoundError
from warehouse_ml.registry import Alias, Registry
from warehouse_ml.registry.aliases import holder_at, periods
from warehouse_ml.registry.folder import publishing
from warehouse_ml.registry.version import write_parquet

DAY = dt.timedelta(days=1)
START = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)


def line(version: int | None, day: int) -> Alias:
    return Alias("m", "champion", version, START + day * DAY, "because")


def test_who_was_champion_when() -> None:
    ledger = [line(1, 0), line(2, 10), line(3, 5), line(None, 20)]
    found = [holder_at(ledger, "m", "champion", START + day * DAY) for day in (-1, 0, 4, 5, 9, 10, 19, 20)]
    assert found == [None, 1, 1, 3, 3, 2, 2, None]
    assert [(period.version, (period.since - START).days) for period in periods(ledger, "m", "champion")] == [
        (1, 0),
        (3, 5),
        (2, 10),
    ]


def test_of_two_lines_of_one_instant_the_later_written_wins() -> None:
    ledger = [line(1, 0), line(2, 0)]
    assert holder_at(ledger, "m", "champion", START) == 2
    assert [(period.version, period.until) for period in periods(ledger, "m", "champion")] == [(2, None)]


@given(st.lists(st.tuples(st.one_of(st.none(), st.integers(1, 3)), st.integers(0, 8)), max_size=8))
def test_periods_and_the_holder_say_the_same(lines: list[tuple[int | None, int]]) -> None:
    ledger = [line(version, day) for version, day in lines]
    stretches = periods(ledger, "m", "champion")
    for earlier, later in itertools.pairwise(stretches):
        assert earlier.until is not None
        assert earlier.until <= later.since
    for half_day in range(-1, 20):
        at = START + half_day * DAY / 2
        inside = [p.version for p in stretches if p.since <= at and (p.until is None or at < p.until)]
        assert inside == [held] if (held := holder_at(ledger, "m", "champion", at)) is not None else inside == []


def test_a_failed_publish_leaves_nothing(tmp_path: Path) -> None:
    def fill() -> None:
        with publishing(tmp_path / "m" / "1") as folder:
            (folder / "a").write_bytes(b"1")
            raise OSError(28, "No space left on device")

    with pytest.raises(ArtifactError, match="No space left on device"):
        fill()
    assert list((tmp_path / "m").iterdir()) == []


def test_a_name_is_taken_once(tmp_path: Path) -> None:
    with publishing(tmp_path / "1") as folder:
        (folder / "a").write_bytes(b"1")
    with pytest.raises(ArtifactError, match="there already"), publishing(tmp_path / "1") as folder:
        (folder / "a").write_bytes(b"2")
    assert (tmp_path / "1" / "a").read_bytes() == b"1"


@pytest.mark.parametrize("n_rows", [0, 1, 131_072, 300_000])
def test_a_snapshot_is_the_same_however_its_rows_come(tmp_path: Path, n_rows: int) -> None:
    table = pa.table({"x": pa.array(range(n_rows), pa.float64()), "t": pa.array(["a"] * n_rows, pa.string())})
    written = []
    for name, batch_rows in (("small", 7_000), ("large", 200_000)):
        with (tmp_path / name).open("wb") as file:
            write_parquet(pa.RecordBatchReader.from_batches(table.schema, table.to_batches(batch_rows)), file)
        written.append((tmp_path / name).read_bytes())
    assert written[0] == written[1]
    assert pq.read_table(tmp_path / "small").equals(table)


def _add(root: Path, day: int) -> None:
    registry = Registry(root)
    for _ in range(10):
        registry.write_ledger([line(day, day)])


def test_writers_at_once_lose_no_line(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_add, args=(tmp_path, day)) for day in (1, 2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert sorted(found.version or 0 for found in Registry(tmp_path).ledger()) == [1] * 10 + [2] * 10


def test_a_folder_without_its_line_in_the_index_is_found(tmp_path: Path) -> None:
    root = write_tiny(tmp_path / "tiny")
    ok(root, "train", "churn", "--as-of", "2024-02-05")
    index = (root / "artifacts" / "index.parquet").read_bytes()
    ok(root, "train", "churn", "--as-of", "2024-02-12")
    (root / "artifacts" / "index.parquet").write_bytes(index)
    assert [version.version for version in Registry(root / "artifacts").versions("churn")] == [1, 2]


def test_what_is_staged_is_no_version(tmp_path: Path) -> None:
    (tmp_path / "m" / ".staging-abc").mkdir(parents=True)
    (tmp_path / "m" / ".staging-abc" / "manifest.json").write_text("{}", encoding="utf-8")
    assert Registry(tmp_path).versions() == []
    with pytest.raises(VersionNotFoundError, match="has no version yet"):
        Registry(tmp_path).get("m")


def keep_at_most(root: Path, n_rows: int) -> None:
    text = (root / "wml.toml").read_text(encoding="utf-8")
    (root / "wml.toml").write_text(f"{text}\n[artifacts]\nmax_snapshot_rows = {n_rows}\n", encoding="utf-8")


def test_rows_that_are_not_kept_are_read_again_and_proven(tmp_path: Path) -> None:
    kept, lean = write_tiny(tmp_path / "kept"), write_tiny(tmp_path / "lean")
    keep_at_most(kept, 769)
    keep_at_most(lean, 768)
    for root in (kept, lean):
        ok(root, "train", "churn", "--as-of", "2024-02-05")
    assert (kept / "artifacts" / "churn" / "1" / "snapshot.parquet").exists()
    assert not (lean / "artifacts" / "churn" / "1" / "snapshot.parquet").exists()
    assert "inner join" in (lean / "artifacts" / "churn" / "1" / "training_query.sql").read_text(encoding="utf-8")
    asked = "select * from ml.validate_data_skew(model churn, table churn_requests)"
    for query in ("select * from ml.evaluate(model churn)", "select * from ml.feature_info(model churn)", asked):
        told = [ok(root, "query", query).out for root in (kept, lean)]
        assert told[0] == told[1]
    (again,) = (lean / "artifacts" / ".rows").iterdir()
    assert again.read_bytes() == (kept / "artifacts" / "churn" / "1" / "snapshot.parquet").read_bytes()
    # Rows read before are taken only if they are what they were.
    again.write_bytes(b"others")
    assert ok(lean, "models", "rows", "churn", "--format", "json").rows[0]["n_rows"] == 769
    again.unlink()
    # The relations move on, and the query gives other rows.
    ok(lean, "build", "--as-of", "2024-02-12")
    done = wml(lean, "query", "select * from ml.evaluate(model churn)")
    assert done.code == 3
    assert "the rows of churn@1 are not kept, and its query gives 937 others now" in done.err
    assert "wml build --as-of 2024-02-05" in done.err
    ok(lean, "predict", "churn", "--as-of", "2024-02-12")
    done = wml(lean, "evaluate", "--as-of", "2024-02-19")
    assert done.code == 0, done.err
    assert "no drift from the training of churn@1: the rows of churn@1 are not kept" in done.err
    registry = Registry(lean / "artifacts")
    with pytest.raises(ArtifactError, match="keeps the query of its 769 training rows"):
        registry.snapshot_path(registry.versions()[0])


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("max_snapshot_rows = -1", "is not a number of rows"),
        ("max_snapshot_rows = true", "is not a number of rows"),
        ("max_snapshot_row = 1", 'did you mean "max_snapshot_rows"'),
        ('cache = "x"', "cache is of an object store alone"),
    ],
)
def test_settings_of_the_store_are_checked(tmp_path: Path, setting: str, told: str) -> None:
    root = write_tiny(tmp_path)
    with (root / "wml.toml").open("a", encoding="utf-8") as file:
        file.write(f"\n[artifacts]\n{setting}\n")
    done = wml(root, "build")
    assert (done.code, told in done.err) == (2, True), done.err
