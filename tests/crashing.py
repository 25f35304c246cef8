"""A store that is killed before each call to the file system of a publication, one after the other, and then looked at.

Run as a program: ``python -m tests.crashing publish STORE FOLDER`` copies STORE, which holds one trained version, for
every step and prints one row of JSON a step. ``matrix`` puts rows together for a person to read.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import io
import itertools
import json
import os
import re
import resource
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from warehouse_ml.cli import _run
from warehouse_ml.errors import ArtifactError
from warehouse_ml.registry import Alias, Registry, Version, VersionContent

NOW = dt.datetime(2024, 3, 1, tzinfo=dt.UTC)
STEPS = {
    os: ("mkdir", "rename", "replace", "unlink", "rmdir", "fsync", "open"),
    io: ("open",),
}


def publish(root: Path) -> Version:
    """Publish the first version of a store into it once more, and name it."""
    return publish_into(Registry(root), Registry(root))


def publish_into(registry: Registry, source: Registry) -> Version:
    """Publish the first version of a store into another, with rows that come in several batches, and name it."""
    first = source.versions()[0]
    stored = source.load(first)
    rows = pq.read_table(source.snapshot_path(first))
    content = VersionContent(
        parameters=stored.parameters,
        definition=stored.definition,
        scoring_sql=stored.scoring_sql,
        snapshot=pa.RecordBatchReader.from_batches(rows.schema, _batches(rows)),
        facts=stored.facts,
        training_query=stored.training_query or "",
    )
    version = registry.publish(lambda number: replace(first, version=number, created_at=NOW), content)
    registry.write_ledger([Alias(version.model, "champion", version.version, NOW, "published")])
    return version


def _batches(rows: pa.Table) -> Iterator[pa.RecordBatch]:
    for batch in rows.to_batches(max_chunksize=500):
        STEP("rows", "snapshot.parquet")
        yield batch


def STEP(name: str, path: object) -> None:  # noqa: N802 - replaced in the process that is killed
    """Tell of a step that is no call to the file system."""


def killed_at(told: int, is_last: Callable[[int, str], bool]) -> None:
    """Patch this process so that it kills itself before a step, after writing down which one that is.

    Parameters
    ----------
    told : int
        The file that it is written to.
    is_last : callable
        Given the number of a step, from 1, and its text, such as ``rename .../churn/.staging-...``.
    """
    n_done = 0

    def step(name: str, path: object) -> None:
        nonlocal n_done
        n_done += 1
        if is_last(n_done, f"{name} {path}"):
            os.write(told, f"{name} {path}".encode())
            os.kill(os.getpid(), signal.SIGKILL)

    def patched(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def run(path: Any, *arguments: Any, **named: Any) -> Any:
            shown = str(Path(f"/proc/self/fd/{path}").readlink()) if isinstance(path, int) else os.fspath(path)
            # What is only read changes nothing.
            is_read = name == "open" and arguments[:1] in (("rb",), ("r",), (os.O_RDONLY,), ())
            is_read |= name == "open" and isinstance(arguments[0], int) and not arguments[0] & os.O_WRONLY
            if not is_read:
                step(name, shown)
            return call(path, *arguments, **named)

        return run

    globals()["STEP"] = step
    for module, names in STEPS.items():
        for name in names:
            setattr(module, name, patched(name, getattr(module, name)))


def states(store: Path, folder: Path) -> Iterator[dict[str, Any]]:
    """Yield what is found after each kill, up to the first publication that lives to its end."""
    for number in itertools.count(1):
        root = folder / str(number)
        shutil.copytree(store, root)
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            killed_at(writing, lambda done, _: done == number)  # noqa: B023 - used in this turn
            publish(root)
            os._exit(0)
        os.close(writing)
        _, status = os.waitpid(child, 0)
        with os.fdopen(reading) as pipe:
            told = pipe.read()
        yield {"step": number, "killed before": _short(told, root) or "-", **state(root)}
        shutil.rmtree(root)
        if not os.WIFSIGNALED(status):
            return


def state(root: Path) -> dict[str, Any]:
    """Look at a store as the next command would, and train once more; what may not be is an AssertionError."""
    left = sorted(_short(str(path), root) for path in root.rglob(".staging-*") if ".staging" not in str(path.parent))
    registry = Registry(root)
    found = [version.version for version in registry.versions()]
    for version in registry.versions():
        registry.load(version)
        assert registry.snapshot_path(version).exists()
    on_disk = sorted(int(path.parent.name) for path in root.glob("*/[0-9]*/manifest.json"))
    assert found == on_disk, (found, on_disk)
    indexed = pq.read_table(root / "index.parquet")["version"].to_pylist()
    assert indexed == found, (indexed, found)
    ledger = [line.version for line in registry.ledger()]
    assert ledger in ([1], [1, 2]), ledger
    assert 2 in found or ledger == [1]
    assert pq.read_table(root / "aliases.parquet")["version"].to_pylist() == ledger
    following = publish(root)
    assert following.version == len(found) + 1
    assert not list(root.rglob(".staging-*"))
    again = Registry(root)
    assert [version.version for version in again.versions()] == [*found, following.version]
    assert [line.version for line in again.ledger()] == [*ledger, following.version]
    return {
        "version": "whole" if 2 in found else "not there",
        "ledger": "with its line" if 2 in ledger else "as before",
        "left": ", ".join(left) or "nothing",
        "next": f"version {following.version}",
    }


def matrix(rows: list[dict[str, Any]]) -> str:
    """Return the rows as a table for people, the steps of one phase put together."""
    told = ["| killed | the version is | the ledger is | left until the next training |", "|---|---|---|---|"]
    for (phase, version, ledger), group in itertools.groupby(
        rows, key=lambda r: (_phase(r), r["version"], r["ledger"])
    ):
        left = " or ".join(dict.fromkeys(row["left"] for row in group))
        told.append(f"| {phase} | {version} | {ledger} | {left} |")
    return "\n".join(told)


def _phase(row: dict[str, Any]) -> str:
    name, _, path = row["killed before"].partition(" ")
    if name == "-":
        return "never"
    if name == "rename":
        return "before the version is renamed into its place"
    if name == "replace" and path.startswith("ledger"):
        return "before the ledger's file is renamed into its place"
    if row["version"] == "not there":
        is_started = ".staging-*" in path or name == "rows"
        return "while the version's files are written and flushed" if is_started else "before anything is written"
    if row["ledger"] == "with its line":
        return "while `aliases.parquet` is replaced"
    return "while the ledger's file is written" if "ledger" in path else "while `index.parquet` is replaced"


def _short(path: str, root: Path) -> str:
    short = path.replace(f"{root}/", "").replace(str(root), "the store")
    return re.sub(r"[0-9a-f]{8}(?=[.]json)", "*", re.sub(r"(?<=[.]staging-)[0-9a-f]{32}", "*", short))


def train_until(project: Path, step: str) -> None:
    """Train in a project, up to the first step in its store whose text has a word in it."""
    store = str(project / "artifacts")
    killed_at(sys.stderr.fileno(), lambda _, text: store in text and re.search(step, text) is not None)
    with contextlib.chdir(project):
        sys.exit(_run(["train", "churn", "--as-of", "2024-02-05"]))


def publish_within(root: Path, n_bytes: int) -> None:
    """Publish on a disk on which no file may be larger than so many bytes."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, n_bytes))
    try:
        publish(root)
    except ArtifactError as error:
        print(error, file=sys.stderr)
        sys.exit(3)


if __name__ == "__main__":
    what, where, more = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
    if what == "train":
        train_until(where, more)
    elif what == "full":
        publish_within(where, int(more))
    else:
        for row in states(where, Path(more)):
            print(json.dumps(row), flush=True)
