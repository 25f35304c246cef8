"""Versions in an object store: what is claimed, in which order it is written, and what a failure leaves.

The stores here are pyarrow's own file systems, without rename or lock: one in memory, one over a folder.
"""

from __future__ import annotations

import multiprocessing
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.fs as pafs
import pytest

from tests import crashing
from tests.tiny import write_tiny
from tests.wml import ok, wml
from warehouse_ml.errors import ArtifactError
from warehouse_ml.registry import Alias, Registry, Version
from warehouse_ml.registry.objects import ObjectStore

ADDRESS = "test://bucket/prefix"


class Failing(pafs.FileSystemHandler):
    """A store that fails at its n-th write."""

    def __init__(self, inner: pafs.FileSystem, fails_at: int) -> None:
        self.inner, self.fails_at, self.n_writes = inner, fails_at, 0
        self.written: list[str] = []

    def open_output_stream(self, path: str, metadata: object) -> Any:
        self.n_writes += 1
        if self.n_writes == self.fails_at:
            raise OSError(5, "the network is down")
        self.written.append(path)
        return self.inner.open_output_stream(path)

    def get_file_info(self, paths: list[str]) -> Any:
        return self.inner.get_file_info(paths)

    def get_file_info_selector(self, selector: pafs.FileSelector) -> Any:
        return self.inner.get_file_info(selector)

    def open_input_stream(self, path: str) -> Any:
        return self.inner.open_input_stream(path)

    def create_dir(self, path: str, recursive: bool) -> None:
        self.inner.create_dir(path, recursive=recursive)

    def delete_file(self, path: str) -> None:
        self.inner.delete_file(path)

    def _never(self, *_: object) -> None:
        raise AssertionError("an object store cannot do this")

    get_type_name: Callable[..., Any] = lambda self: "failing"
    normalize_path: Callable[..., Any] = lambda self, path: path
    delete_dir = delete_dir_contents = delete_root_dir_contents = move = copy_file = _never
    open_input_file = open_append_stream = _never


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = write_tiny(tmp_path_factory.mktemp("objects"))
    ok(root, "train", "churn", "--as-of", "2024-02-05")
    return root / "artifacts"


def opened(folder: Path, filesystem: pafs.FileSystem, prefix: str = "bucket/prefix") -> Registry:
    registry = Registry(folder, store=ObjectStore(ADDRESS, (filesystem, prefix)))
    registry.pull()
    return registry


def publish(registry: Registry, trained: Path) -> Version:
    return crashing.publish_into(registry, Registry(trained))


def memory() -> pafs.FileSystem:
    filesystem = pafs._MockFileSystem()
    filesystem.create_dir("bucket")
    return filesystem


def test_what_one_machine_publishes_another_reads(trained: Path, tmp_path: Path) -> None:
    filesystem = memory()
    here = opened(tmp_path / "here", filesystem)
    version = publish(here, trained)
    assert version.version == 1
    there = opened(tmp_path / "there", filesystem)
    assert there.versions() == here.versions() == [version]
    assert there.ledger() == here.ledger()
    assert there.get("churn").version == 1
    assert there.load(version).parameters.features == here.load(version).parameters.features
    assert not (tmp_path / "there" / "churn" / "1" / "snapshot.parquet").exists()
    assert there.snapshot_path(version).read_bytes() == (trained / "churn" / "1" / "snapshot.parquet").read_bytes()
    assert publish(there, trained).version == 2
    here.pull()
    assert [found.version for found in here.versions()] == [1, 2]
    there.write_ledger([Alias("churn", "challenger", 1, crashing.NOW, "asked")])
    here.write_ledger([Alias("churn", "challenger", 2, crashing.NOW, "asked")])
    there.pull()
    assert [line.version for line in there.ledger()] == [1, 2, 1, 2]


def test_a_publication_that_fails_at_any_write_leaves_no_version(trained: Path, tmp_path: Path) -> None:
    filesystem = memory()
    whole, lines = [], 0
    for fails_at in range(1, 100):
        store = Failing(filesystem, fails_at)
        folder = tmp_path / str(fails_at)
        told = _told_of(lambda: publish(opened(folder, pafs.PyFileSystem(store)), trained))  # noqa: B023 - used at once
        assert list(folder.rglob(".staging-*")) == []
        # The claim comes first, then each file, the manifest, and at last the lines of the ledger.
        names = [path.rpartition("/")[2] for path in store.written]
        assert names[:1] == [] or names[0].startswith(".claim-")
        if "manifest.json" in names:
            whole.append(int(store.written[-1].split("/")[-2]) if names[-1] == "manifest.json" else whole[-1] + 1)
            assert names.index("manifest.json") >= len(names) - 2
        lines += told is None
        fresh = opened(tmp_path / f"fresh {fails_at}", filesystem)
        assert [found.version for found in fresh.versions()] == whole
        assert len(fresh.ledger()) == lines
        for found in fresh.versions():
            fresh.load(found)
        if told is None:
            break
        assert "the network is down" in told
    # Numbers that were claimed in vain are not used again.
    assert len(whole) < whole[-1]
    assert fails_at > 14


def _told_of(action: Callable[[], object]) -> str | None:
    try:
        action()
    except ArtifactError as error:
        return str(error)
    return None


def _publish(folder: Path, shared: Path, trained: Path) -> None:
    registry = opened(folder, pafs.LocalFileSystem(), shared.as_posix())
    for _ in range(4):
        publish(registry, trained)


def test_machines_at_once_never_share_a_number(trained: Path, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    context = multiprocessing.get_context("spawn")
    machines = [context.Process(target=_publish, args=(tmp_path / name, shared, trained)) for name in ("a", "b")]
    for machine in machines:
        machine.start()
    for machine in machines:
        machine.join()
        assert machine.exitcode == 0
    registry = opened(tmp_path / "c", pafs.LocalFileSystem(), shared.as_posix())
    assert len(registry.versions()) == 8
    assert len({version.artifact_hash for version in registry.versions()}) == 8
    assert sorted(line.version or 0 for line in registry.ledger()) == [v.version for v in registry.versions()]
    for version in registry.versions():
        registry.load(version)


def test_a_claimed_number_without_a_manifest_is_skipped(trained: Path, tmp_path: Path) -> None:
    filesystem = memory()
    filesystem.create_dir("bucket/prefix/churn/7", recursive=True)
    with filesystem.open_output_stream("bucket/prefix/churn/7/.claim-x") as file:
        file.write(b"")
    registry = opened(tmp_path / "a", filesystem)
    assert registry.versions() == []
    assert publish(registry, trained).version == 8


def test_what_comes_from_the_store_is_read_with_suspicion(trained: Path, tmp_path: Path) -> None:
    filesystem = memory()
    publish(opened(tmp_path / "a", filesystem), trained)
    name = "bucket/prefix/churn/1/manifest.json"
    text = filesystem.open_input_stream(name).read()
    with filesystem.open_output_stream(name) as file:
        file.write(text.replace(b'"scoring.sql"', b'"../../x"'))
    with pytest.raises(ArtifactError, match="names a file that no version has"):
        opened(tmp_path / "b", filesystem)
    with filesystem.open_output_stream(name) as file:
        file.write(text)
    with filesystem.open_output_stream("bucket/prefix/churn/1/scoring.sql") as file:
        file.write(b"select 1")
    with pytest.raises(ArtifactError, match="was changed after it was published"):
        opened(tmp_path / "c", filesystem)
    assert list((tmp_path / "c").rglob("manifest.json")) == []


def test_a_folder_of_copies_is_of_one_store(trained: Path, tmp_path: Path) -> None:
    copies = shutil.copytree(trained, tmp_path / "copies")
    with pytest.raises(ArtifactError, match="holds versions that were never in test://"):
        opened(copies, memory())
    opened(tmp_path / "other", memory())
    with pytest.raises(ArtifactError, match="holds copies of test://bucket/prefix, not of s3://b"):
        Registry(tmp_path / "other", store=ObjectStore("s3://b", (memory(), "b"))).pull()


def test_a_project_says_where_its_store_is(tmp_path: Path) -> None:
    root = write_tiny(tmp_path / "tiny")
    settings = (root / "wml.toml").read_text()
    (root / "wml.toml").write_text(f'{settings}\n[artifacts]\npath = "file://{(tmp_path / "store").as_posix()}"\n')
    ok(root, "train", "churn", "--as-of", "2024-02-05")
    assert (tmp_path / "store" / "churn" / "1" / "manifest.json").exists()
    assert not (root / "artifacts").exists()
    # pyarrow's own store in memory is another one for each command: enough to see that it is asked.
    (root / "wml.toml").write_text(f'{settings}\n[artifacts]\npath = "mock://bucket/x"\ncache = "copies"\n')
    ok(root, "train", "churn", "--as-of", "2024-02-05")
    assert (root / "copies" / ".store").read_text() == "mock://bucket/x"
    assert (root / "copies" / "churn" / "1" / "manifest.json").exists()
    (root / "wml.toml").write_text(f'{settings}\n[artifacts]\npath = "nosuch://bucket/x"\n')
    done = wml(root, "models", "list")
    assert (done.code, "the object store does not answer" in done.err) == (3, True)
