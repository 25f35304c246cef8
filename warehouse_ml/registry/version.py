"""One version of a model: what its folder holds, and how it is checked on the way in and out."""

from __future__ import annotations

import datetime as dt
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from warehouse_ml.errors import ArtifactError
from warehouse_ml.registry.folder import hash_of, hash_of_file
from warehouse_ml.scoring import scoring_path
from warehouse_ml.scoring.parameters import Parameters

__all__ = [
    "FORMAT",
    "INDEX_SCHEMA",
    "SCORING",
    "SNAPSHOT",
    "StoredVersion",
    "Version",
    "VersionContent",
    "checked_snapshot",
    "read_manifest",
    "read_version",
]

FORMAT = 1
"""The number of the folder's layout; it grows when an older release could not read it."""

MANIFEST = "manifest.json"
SCORING = "scoring.sql"
SNAPSHOT = "snapshot.parquet"
_FACTS, _PARAMETERS = "facts.json", "parameters"
_ROW_GROUP = 131_072

_TIMESTAMP = pa.timestamp("us", tz="UTC")

INDEX_SCHEMA = pa.schema(
    [
        ("model", pa.string()),
        ("version", pa.int64()),
        ("created_at", _TIMESTAMP),
        ("as_of", _TIMESTAMP),
        ("definition_hash", pa.string()),
        ("data_hash", pa.string()),
        ("artifact_uri", pa.string()),
        ("artifact_hash", pa.string()),
        ("git_commit", pa.string()),
        ("model_type", pa.string()),
        ("n_rows", pa.int64()),
        ("metrics", pa.string()),
        ("environment", pa.string()),
    ]
)


@dataclass(frozen=True)
class Version:
    """A row of the index: what is known of a version without opening its folder.

    Parameters
    ----------
    model : str
    version : int
        1, 2, 3 ...
    created_at, as_of : datetime
        When it was made, and what the clock said.
    definition_hash, data_hash : str
        Of the definition (with all it reads) and of the training rows.
    artifact_uri : str
        Its folder, relative to the artifact store.
    artifact_hash : str
        Of the manifest, which holds the hash of every other file.
    git_commit : str or None
    model_type : str
    n_rows : int
        Training rows, held-out ones included.
    metrics : mapping of str to float
        On the rows held out of training; empty if none were. Of a model without a label, on all rows.
    environment : mapping of str to str
        Python and package versions, the platform, the seed.
    """

    model: str
    version: int
    created_at: dt.datetime
    as_of: dt.datetime
    definition_hash: str
    data_hash: str
    artifact_uri: str
    artifact_hash: str
    git_commit: str | None
    model_type: str
    n_rows: int
    metrics: Mapping[str, float | None]
    environment: Mapping[str, Any]

    def row(self) -> dict[str, Any]:
        """Return the version as a row of the index."""
        values = {name: getattr(self, name) for name in INDEX_SCHEMA.names}
        return {**values, "metrics": _json(self.metrics), "environment": _json(self.environment)}

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Version:
        """Return the version that a row of the index tells of."""
        return cls(**{**row, "metrics": json.loads(row["metrics"]), "environment": json.loads(row["environment"])})


@dataclass(frozen=True)
class VersionContent:
    """What a version's folder holds: data alone, nothing that runs.

    Parameters
    ----------
    parameters : Parameters
        The fitted model with its frozen preprocessing.
    definition : str
        The rendered CREATE MODEL statement.
    scoring_sql : str
        The prediction as SQL over a relation named ``wml_input`` with request_id, requested_at and the features.
    snapshot : pyarrow.RecordBatchReader
        The training rows with ``wml_split`` and ``wml_row_hash``; read once.
    facts : mapping
        Options, split, path of scoring, warnings, parity, training progress.
    """

    parameters: Parameters
    definition: str
    scoring_sql: str
    snapshot: pa.RecordBatchReader
    facts: Mapping[str, Any]

    def write(self, folder: Path) -> None:
        """Write the folder's files, the manifest left out; the snapshot is read as it is written."""
        (folder / "definition.sql").write_text(self.definition, encoding="utf-8")
        (folder / SCORING).write_text(self.scoring_sql, encoding="utf-8")
        (folder / _FACTS).write_text(_json(self.facts), encoding="utf-8")
        (folder / _PARAMETERS).mkdir()
        for name, table in self.parameters.to_tables().items():
            (folder / _PARAMETERS / f"{name}.parquet").write_bytes(parquet_bytes(table))
        with (folder / SNAPSHOT).open("wb") as file:
            write_parquet(self.snapshot, file)


@dataclass(frozen=True)
class StoredVersion:
    """A version as read back, every byte of it checked.

    Parameters
    ----------
    version : Version
    parameters : Parameters
    scoring_sql : str
        A query over a relation named ``wml_input``: request_id, requested_at, the features, score and prediction.
    facts : mapping
        As in ``VersionContent``.
    """

    version: Version
    parameters: Parameters
    scoring_sql: str
    facts: Mapping[str, Any]

    def path(self, n_rows: int | None = None, *, is_stored: bool = False) -> str:
        """Return how rows are scored, ``sql`` or ``arrow``: as its definition says, or as ``scoring_path`` does."""
        forced = str(self.facts.get("options", {}).get("SCORING_PATH", "AUTO"))
        return scoring_path(self.parameters, n_rows, forced=forced, is_stored=is_stored)


def write_manifest(version: Mapping[str, Any], folder: Path) -> None:
    """Write the manifest of a folder that is complete but for it: the format, the version's row, each file's hash."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    manifest = {
        "format": FORMAT,
        "version": {key: value for key, value in version.items() if key != "artifact_hash"},
        "files": {
            path.relative_to(folder).as_posix(): {"sha256": hash_of_file(path), "bytes": path.stat().st_size}
            for path in files
        },
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2, sort_keys=True, default=str), encoding="utf-8")


def read_manifest(folder: Path) -> tuple[dict[str, Any], str]:
    """Return a version's manifest and its hash.

    Raises
    ------
    ArtifactError
        If it is missing, not JSON, or of a later format.
    """
    path = folder / MANIFEST
    try:
        content = path.read_bytes()
        manifest: dict[str, Any] = json.loads(content)
        found = int(manifest["format"])
    except FileNotFoundError:
        raise ArtifactError("the version has no manifest", place=str(path)) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArtifactError(f"the manifest cannot be read: {error}", place=str(path)) from None
    if found > FORMAT:
        raise ArtifactError(
            f"format {found} is newer than this release reads ({FORMAT})",
            place=str(path),
            hint="upgrade: pip install --upgrade warehouse-ml",
        )
    return manifest, hash_of(content)


def read_version(folder: Path, version: Version) -> StoredVersion:
    """Return what a version's folder holds after checking that every byte of it is as it was written.

    The snapshot is left to ``checked_snapshot``: it is large, and scoring has no use for it.

    Parameters
    ----------
    folder : Path
    version : Version
        Its row of the index, which says what the hash of the manifest must be.

    Raises
    ------
    ArtifactError
        If a file is missing or changed.
    """
    manifest, found = read_manifest(folder)
    if found != version.artifact_hash:
        raise _changed(folder / MANIFEST, found, version.artifact_hash)
    contents: dict[str, bytes] = {}
    for name, expected in manifest["files"].items():
        if name == SNAPSHOT:
            continue
        path = folder / name
        try:
            content = path.read_bytes()
        except OSError as error:
            raise ArtifactError(f"cannot be read: {error.strerror}", place=str(path)) from None
        if hash_of(content) != expected["sha256"]:
            raise _changed(path, hash_of(content), expected["sha256"])
        contents[name] = content
    tables = {
        Path(name).stem: pq.read_table(pa.BufferReader(content))
        for name, content in contents.items()
        if name.startswith(f"{_PARAMETERS}/")
    }
    return StoredVersion(
        version=version,
        parameters=Parameters.from_tables(tables),
        scoring_sql=contents[SCORING].decode(),
        facts=json.loads(contents[_FACTS]),
    )


def checked_snapshot(folder: Path) -> Path:
    """Return where the training rows of a version are, after checking that they are as they were written.

    Raises
    ------
    ArtifactError
        If they are missing or changed.
    """
    manifest, _ = read_manifest(folder)
    path, expected = folder / SNAPSHOT, manifest["files"][SNAPSHOT]["sha256"]
    try:
        found = hash_of_file(path)
    except OSError as error:
        raise ArtifactError(f"cannot be read: {error.strerror}", place=str(path)) from None
    if found != expected:
        raise _changed(path, found, expected)
    return path.resolve()


def parquet_bytes(table: pa.Table) -> bytes:
    """Return a table as one Parquet file."""
    sink = io.BytesIO()
    with _writer(table.schema, sink) as writer:
        writer.write_table(table)
    return sink.getvalue()


def write_parquet(rows: pa.RecordBatchReader, file: IO[bytes]) -> None:
    """Write rows as one Parquet file, in row groups of a fixed size, however the rows come."""
    waiting = rows.schema.empty_table()
    with _writer(rows.schema, file) as writer:
        for batch in rows:
            waiting = pa.concat_tables([waiting, pa.Table.from_batches([batch])])
            while len(waiting) >= _ROW_GROUP:
                writer.write_table(waiting.slice(0, _ROW_GROUP))
                waiting = waiting.slice(_ROW_GROUP)
        if len(waiting):
            writer.write_table(waiting)


def _writer(schema: pa.Schema, sink: IO[bytes]) -> pq.ParquetWriter:
    # Doubles hardly repeat: a dictionary of them, or a thorough search for what is alike, costs time and saves little.
    is_float = {field.name: pa.types.is_floating(field.type) for field in schema}
    return pq.ParquetWriter(
        sink,
        schema,
        compression={name: "snappy" if floats else "zstd" for name, floats in is_float.items()},
        use_dictionary=[name for name, floats in is_float.items() if not floats],
        write_statistics=[name for name, floats in is_float.items() if not floats],
    )


def _changed(path: Path, found: str, expected: str) -> ArtifactError:
    return ArtifactError(
        f"the file was changed after it was published: its SHA-256 is {found[:12]}..., not {expected[:12]}...",
        place=str(path),
        hint="restore it from a backup, or train a new version; a changed version is never used",
    )


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, sort_keys=True, default=str)
