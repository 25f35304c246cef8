"""A store through kills, full disks, writers at once, and lost files: a version is there whole or not at all."""

from __future__ import annotations

import json
import multiprocessing
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests import crashing
from tests.tiny import write_tiny
from tests.wml import ok, rows, wml
from warehouse_ml.registry import Registry
from warehouse_ml.registry.aliases import LEDGER_SCHEMA

REPOSITORY = Path(__file__).parent.parent
CLOCK = ("--as-of", "2024-02-05")

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs fork and signals")


@pytest.fixture(scope="module")
def memory() -> Iterator[Path]:
    """A folder in memory where there is one: nothing here asks whether a disk keeps what was flushed."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:  # noqa: S108
        yield Path(folder)


@pytest.fixture(scope="module")
def project(memory: Path) -> Path:
    root = write_tiny(memory / "tiny")
    ok(root, "build", *CLOCK)
    ok(root, "train", "churn", *CLOCK)
    return root


def crash(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "ignore", "-m", "tests.crashing", *map(str, arguments)]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)


def test_killed_at_any_step_a_publication_is_whole_or_not_there(project: Path, memory: Path) -> None:
    done = crash("publish", project / "artifacts", memory / "killed")
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(found) > 40
    # There is one step before which nothing is there, and after which all of it is; so it is with the ledger.
    for key, before, after in (("version", "not there", "whole"), ("ledger", "as before", "with its line")):
        told = [row[key] for row in found]
        assert told == [before] * told.count(before) + [after] * told.count(after)
        assert min(told.count(before), told.count(after)) > 1
    assert crashing.matrix(found) in (REPOSITORY / "docs" / "versions.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("step", "n_versions"),
    [("rename .*/churn/[.]staging-", 0), ("fsync .*/churn$", 1), ("replace .*/ledger/[.]staging-", 1)],
)
def test_a_training_that_was_killed_is_completed_by_the_next(
    project: Path, tmp_path: Path, step: str, n_versions: int
) -> None:
    root = shutil.copytree(project, tmp_path / "tiny")
    shutil.rmtree(root / "artifacts")
    killed = crash("train", root, step)
    assert killed.returncode == -9, killed.stderr
    assert len(Registry(root / "artifacts").versions()) == n_versions
    assert Registry(root / "artifacts").ledger() == []
    done = ok(root, "train", "churn", *CLOCK, "--format", "json").rows[0]
    assert (done["version"], done["is_new"], done["alias"]) == (1, n_versions == 0, "champion")
    assert [line.version for line in Registry(root / "artifacts").ledger()] == [1]
    assert not list((root / "artifacts").rglob(".staging-*"))
    assert ok(root, "train", "churn", *CLOCK, "--format", "json").rows[0]["is_new"] is False
    assert len(Registry(root / "artifacts").ledger()) == 1


@pytest.mark.parametrize("n_bytes", [0, 2_000, 16_000])
def test_a_full_disk_leaves_nothing(project: Path, tmp_path: Path, n_bytes: int) -> None:
    root = shutil.copytree(project / "artifacts", tmp_path / "artifacts")
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    done = crash("full", root, n_bytes)
    assert done.returncode == 3, done.stderr
    assert "cannot be written: File too large" in done.stderr
    assert "Traceback" not in done.stderr
    assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} == before
    assert crash("full", root, 10_000_000).returncode == 0


def _publish(root: Path) -> None:
    for _ in range(4):
        crashing.publish(root)


def test_writers_at_once_never_share_a_number(project: Path, tmp_path: Path) -> None:
    root = shutil.copytree(project / "artifacts", tmp_path / "artifacts")
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_publish, args=(root,)) for _ in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    registry = Registry(root)
    assert [version.version for version in registry.versions()] == list(range(1, 10))
    assert sorted(line.version or 0 for line in registry.ledger()) == list(range(1, 10))
    assert len({version.artifact_hash for version in registry.versions()}) == 9


def test_the_store_outlives_the_warehouse_and_its_own_tables(project: Path, tmp_path: Path) -> None:
    root = shutil.copytree(project, tmp_path / "tiny")
    ask = "select model, version, artifact_hash from wml.model_versions"
    named = "select model, alias, version, since from wml.model_aliases"
    before = rows(root, ask), rows(root, named), ok(root, "models", "list").out
    for lost in ("warehouse.duckdb", "artifacts/index.parquet", "artifacts/aliases.parquet"):
        (root / lost).unlink()
        ok(root, "build", *CLOCK)
        assert (rows(root, ask), rows(root, named), ok(root, "models", "list").out) == before
    for name in ("warehouse.duckdb", "artifacts/index.parquet", "artifacts/aliases.parquet"):
        (root / name).unlink()
    assert ok(root, "models", "list").out == before[2]
    ok(root, "build", *CLOCK)
    ok(root, "build", "--as-of", "2024-02-12")
    ok(root, "predict", "churn", "--as-of", "2024-02-12")
    assert rows(root, "select count(*) as n from wml.request_log_churn")[0]["n"] > 0
    (root / "artifacts" / "index.parquet").write_bytes(b"torn")
    (root / "artifacts" / "aliases.parquet").write_bytes(b"")
    assert ok(root, "models", "list").out == before[2]


def test_without_a_ledger_the_versions_are_there_and_nobody_serves(project: Path, tmp_path: Path) -> None:
    root = shutil.copytree(project, tmp_path / "tiny")
    shutil.rmtree(root / "artifacts" / "ledger")
    (root / "artifacts" / "aliases.parquet").unlink()
    assert ok(root, "models", "list", "--format", "json").rows[0]["aliases"] == ""
    done = wml(root, "models", "show", "churn")
    assert done.code == 2
    assert 'no version "champion" of churn' in done.err
    # Training again decides who serves, as after a training that was killed before it could say so.
    assert ok(root, "train", "churn", *CLOCK, "--format", "json").rows[0]["alias"] == "champion"


def test_a_ledger_of_the_parquet_file_alone_is_kept(project: Path, tmp_path: Path) -> None:
    root = shutil.copytree(project / "artifacts", tmp_path / "artifacts")
    lines = Registry(root).ledger()
    shutil.rmtree(root / "ledger")
    # As a release wrote it that kept no files beside it.
    pq.write_table(pq.read_table(root / "aliases.parquet").replace_schema_metadata(None), root / "aliases.parquet")
    assert Registry(root).ledger() == lines
    Registry(root).write_ledger([crashing.Alias("churn", "challenger", 1, crashing.NOW, "added")])
    (root / "aliases.parquet").unlink()
    assert Registry(root).ledger()[:-1] == lines
    assert pq.read_table(root / "aliases.parquet").schema.equals(LEDGER_SCHEMA)
    assert len(list((root / "ledger").iterdir())) == 2


def test_a_store_that_cannot_be_written_is_read(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = shutil.copytree(project / "artifacts", tmp_path / "artifacts")
    (root / "index.parquet").unlink()
    (root / "aliases.parquet").unlink()
    (root / ".lock").unlink()
    # Even root cannot open a folder for writing.
    (root / ".lock").mkdir()
    assert [version.version for version in Registry(root).versions()] == [1]
    assert [line.version for line in Registry(root).ledger()] == [1]
    assert not (root / "index.parquet").exists()
