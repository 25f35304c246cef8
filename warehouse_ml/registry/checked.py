"""Reading a version's folder as if a stranger had written it.

Hashes say that nothing was changed by accident. They say nothing of who wrote the folder, so that whatever is read is
also looked at: only files that a version has, under their own names, regular ones, of a bearable size, with values of
the types that they should have.
"""

from __future__ import annotations

import json
import math
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from warehouse_ml.errors import ArtifactError
from warehouse_ml.registry.folder import hash_of, hash_of_stream

__all__ = [
    "DEFINITION",
    "ESTIMATOR",
    "FACTS",
    "FORMAT",
    "MANIFEST",
    "PARAMETERS",
    "QUERY",
    "SCORING",
    "SNAPSHOT",
    "changed",
    "check_facts",
    "checked_snapshot",
    "read_files",
    "read_json",
    "read_manifest",
    "read_tables",
]

FORMAT = 1
"""The number of the folder's layout; it grows when an older release could not read it."""

MANIFEST = "manifest.json"
DEFINITION = "definition.sql"
QUERY = "training_query.sql"
SCORING = "scoring.sql"
FACTS = "facts.json"
ESTIMATOR = "estimator.skops"
PARAMETERS = "parameters"
SNAPSHOT = "snapshot.parquet"

# Largest bytes of each file; what a release writes stays far below.
_MOST_BYTES = {MANIFEST: 2**24, DEFINITION: 2**26, QUERY: 2**26, SCORING: 2**28, FACTS: 2**28, ESTIMATOR: 2**32}
_MOST_TABLE_BYTES, _MOST_TABLE_ROWS = 2**32, 2**28
_TABLE = re.compile(rf"{PARAMETERS}/[a-z][a-z_]{{0,40}}\.parquet")
_SHA256 = re.compile(r"[0-9a-f]{64}")


def read_manifest(folder: Path) -> tuple[dict[str, Any], str]:
    """Return a version's manifest and its hash.

    Raises
    ------
    ArtifactError
        If it is missing, not JSON, of a later format, or names a file that no version has.
    """
    path = folder / MANIFEST
    _refuse_link(folder)
    if not os.path.lexists(path):
        raise ArtifactError("the version has no manifest", place=str(path))
    content = _read(path, _MOST_BYTES[MANIFEST])
    manifest = read_json(content, path)
    found = manifest.get("format")
    if not isinstance(found, int) or isinstance(found, bool):
        raise ArtifactError("the manifest cannot be read: it has no format number", place=str(path))
    if found > FORMAT:
        raise ArtifactError(
            f"format {found} is newer than this release reads ({FORMAT})",
            place=str(path),
            hint="upgrade: pip install --upgrade warehouse-ml",
        )
    if not isinstance(manifest.get("version"), dict) or not isinstance(manifest.get("files"), dict):
        raise ArtifactError("the manifest cannot be read: it lacks the version or its files", place=str(path))
    for name, expected in manifest["files"].items():
        _check_entry(name, expected, path)
    return manifest, hash_of(content)


def read_files(folder: Path, manifest: Mapping[str, Any]) -> dict[str, bytes]:
    """Return the content of each file but the snapshot's, after comparing it with its hash.

    Raises
    ------
    ArtifactError
        If a file is missing, changed, too large, or no regular file.
    """
    contents: dict[str, bytes] = {}
    _refuse_link(folder / PARAMETERS)
    for name, expected in manifest["files"].items():
        if name == SNAPSHOT:
            continue
        path = folder / name
        content = _read(path, _MOST_BYTES.get(name, _MOST_TABLE_BYTES))
        if hash_of(content) != expected["sha256"]:
            raise changed(path, hash_of(content), expected["sha256"])
        contents[name] = content
    for name in (DEFINITION, SCORING, FACTS):
        if name not in contents:
            raise ArtifactError(f"the manifest does not name {name}", place=str(folder / MANIFEST))
    return contents


def read_tables(contents: Mapping[str, bytes], folder: Path) -> dict[str, pa.Table]:
    """Return the tables of the parameters by name.

    Raises
    ------
    ArtifactError
        If one is not Parquet, or would take more memory than a model does.
    """
    tables = {}
    for name, content in contents.items():
        if not _TABLE.fullmatch(name):
            continue
        try:
            file = pq.ParquetFile(pa.BufferReader(content))
            about = file.metadata
            n_bytes = sum(about.row_group(index).total_byte_size for index in range(about.num_row_groups))
            if about.num_rows > _MOST_TABLE_ROWS or n_bytes > _MOST_TABLE_BYTES:
                raise ArtifactError(
                    f"the table is larger than a model's: {about.num_rows:,} rows, {n_bytes:,} bytes",
                    place=str(folder / name),
                )
            tables[name[len(PARAMETERS) + 1 : -len(".parquet")]] = file.read()
        except (pa.ArrowException, OSError, ValueError) as error:
            told = (str(error).splitlines() or [type(error).__name__])[0]
            raise ArtifactError(f"cannot be read as Parquet: {told}", place=str(folder / name)) from None
    return tables


def read_json(content: bytes, path: Path) -> dict[str, Any]:
    """Return an object of JSON; infinite numbers and NaN, which JSON does not have, are refused.

    Raises
    ------
    ArtifactError
        Naming the file.
    """

    def refuse(constant: str) -> object:
        raise ValueError(f"it holds {constant}")

    try:
        found = json.loads(content, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        told = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise ArtifactError(f"cannot be read as JSON: {told}", place=str(path)) from None
    if not isinstance(found, dict):
        raise ArtifactError("cannot be read: it is not an object of JSON", place=str(path))
    return found


def check_facts(facts: Mapping[str, Any], path: Path) -> None:
    """Refuse facts that lack what predictions and evaluations ask for, or have another type there.

    Raises
    ------
    ArtifactError
        Naming the fact.
    """
    split, threshold = facts.get("split"), facts.get("threshold")
    counts = ("n_train", "n_eval", "n_test")
    is_split = isinstance(split, dict) and all(type(split.get(name)) is int and split[name] >= 0 for name in counts)
    is_threshold = isinstance(threshold, int | float) and math.isfinite(threshold) and 0 <= threshold <= 1
    options = facts.get("options")
    is_options = isinstance(options, dict) and options.get("SCORING_PATH", "AUTO") in ("AUTO", "SQL", "ARROW")
    for name, is_right in (("split", is_split), ("threshold", is_threshold), ("options", is_options)):
        if not is_right:
            raise ArtifactError(f'"{name}" is missing, or is not what a training writes', place=str(path))


def checked_snapshot(folder: Path) -> Path | None:
    """Return where the training rows of a version are, after comparing them with their hash; None if none are kept.

    Raises
    ------
    ArtifactError
        If they are missing or changed.
    """
    manifest, _ = read_manifest(folder)
    if SNAPSHOT not in manifest["files"]:
        return None
    path, expected = folder / SNAPSHOT, manifest["files"][SNAPSHOT]["sha256"]
    with os.fdopen(_open(path), "rb") as file:
        found = hash_of_stream(file)
    if found != expected:
        raise changed(path, found, expected)
    return path.resolve()


def changed(path: Path, found: str, expected: str) -> ArtifactError:
    """Return the error of a file that is not what was published."""
    return ArtifactError(
        f"the file was changed after it was published: its SHA-256 is {found[:12]}..., not {expected[:12]}...",
        place=str(path),
        hint="restore it from a backup, or train a new version; a changed version is never used",
    )


def _check_entry(name: str, expected: object, path: Path) -> None:
    if name not in (*_MOST_BYTES, SNAPSHOT) and not _TABLE.fullmatch(name):
        raise ArtifactError(
            f'the manifest names a file that no version has: "{name[:80]}"',
            place=str(path),
            hint="a version has only files of its own; train a new one",
        )
    sha256 = expected.get("sha256") if isinstance(expected, dict) else None
    if not isinstance(sha256, str) or not _SHA256.fullmatch(sha256):
        raise ArtifactError(f'the manifest has no hash of "{name}"', place=str(path))


def _refuse_link(path: Path) -> None:
    if path.is_symlink():
        raise ArtifactError("is a link; a version's files are kept in its own folder", place=str(path))


def _open(path: Path) -> int:
    """Open a regular file; never through a link, and never waiting for a pipe."""
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    except OSError as error:
        _refuse_link(path)
        raise ArtifactError(f"cannot be read: {error.strerror}", place=str(path)) from None
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise ArtifactError("is not a regular file", place=str(path))
    return handle


def _read(path: Path, most: int) -> bytes:
    with os.fdopen(_open(path), "rb") as file:
        n_bytes = os.fstat(file.fileno()).st_size
        if n_bytes > most:
            raise ArtifactError(f"is larger than such a file can be: {n_bytes:,} bytes", place=str(path))
        try:
            return file.read(n_bytes + 1)
        except OSError as error:
            raise ArtifactError(f"cannot be read: {error.strerror}", place=str(path)) from None
