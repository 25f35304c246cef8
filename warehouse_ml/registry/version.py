"""One version of a model: what its folder holds, and how it is checked on the way in and out."""

from __future__ import annotations

import datetime as dt
import io
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from warehouse_ml.errors import ArtifactError
from warehouse_ml.registry.checked import (
    DEFINITION,
    ESTIMATOR,
    FACTS,
    FORMAT,
    MANIFEST,
    PARAMETERS,
    QUERY,
    SCORING,
    SNAPSHOT,
    changed,
    check_facts,
    read_files,
    read_json,
    read_manifest,
    read_tables,
)
from warehouse_ml.registry.folder import hash_of_file
from warehouse_ml.scoring import scoring_path
from warehouse_ml.scoring.native import NativeParameters, native_parameters
from warehouse_ml.scoring.parameters import Parameters
from warehouse_ml.scoring.stored_sql import check_stored_sql, compiled_sql, stored_sql

__all__ = [
    "INDEX_SCHEMA",
    "StoredVersion",
    "Version",
    "VersionContent",
    "parquet_bytes",
    "read_version",
    "version_of",
    "write_manifest",
    "write_parquet",
]

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


_PYTHON_TYPES = {pa.string(): str, pa.int64(): int, _TIMESTAMP: dt.datetime}


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
        values = self.told()
        return {**values, "metrics": _json(self.metrics), "environment": _json(self.environment)}

    def told(self) -> dict[str, Any]:
        """Return the version as the manifest tells of it: metrics and environment as they are."""
        return {name: getattr(self, name) for name in INDEX_SCHEMA.names}

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
    snapshot : pyarrow.RecordBatchReader, optional
        The training rows with ``wml_split`` and ``wml_row_hash``; read once. None if only their query and hash are
        to be kept.
    facts : mapping
        Options, split, path of scoring, warnings, parity, training progress.
    training_query : str
        The query of the training rows as it ran, plain SQL of the warehouse.
    """

    parameters: Parameters
    definition: str
    scoring_sql: str
    snapshot: pa.RecordBatchReader | None
    facts: Mapping[str, Any]
    training_query: str = ""

    def write(self, folder: Path) -> None:
        """Write the folder's files, the manifest left out; the snapshot is read as it is written."""
        texts = {DEFINITION: self.definition, QUERY: self.training_query, SCORING: self.scoring_sql}
        for name, text in texts.items():
            (folder / name).write_text(text, encoding="utf-8")
        (folder / FACTS).write_text(_json(self.facts), encoding="utf-8")
        (folder / PARAMETERS).mkdir()
        for name, table in self.parameters.to_tables().items():
            (folder / PARAMETERS / f"{name}.parquet").write_bytes(parquet_bytes(table))
        if not isinstance(self.parameters, NativeParameters) and self.parameters.kept is not None:
            (folder / ESTIMATOR).write_bytes(self.parameters.kept.content)
        if self.snapshot is None:
            return
        with (folder / SNAPSHOT).open("wb") as file:
            write_parquet(self.snapshot, file)


@dataclass(frozen=True)
class StoredVersion:
    """A version as read back, every byte of it checked.

    Parameters
    ----------
    version : Version
    parameters : Parameters
    stored_sql : str
        The text of scoring.sql, as it was read.
    facts : mapping
        As in ``VersionContent``.
    definition : str
        The rendered CREATE MODEL statement. It is never rendered again.
    training_query : str, optional
        As in ``VersionContent``; None in a folder of an earlier release.
    """

    version: Version
    parameters: Parameters
    stored_sql: str
    facts: Mapping[str, Any]
    definition: str = ""
    training_query: str | None = None

    @property
    def native(self) -> NativeParameters | None:
        """What is known of a model that BigQuery ML trained; None of one whose parameters are here."""
        return self.parameters if isinstance(self.parameters, NativeParameters) else None

    @cached_property
    def scoring_sql(self) -> str:
        """A query over a relation named ``wml_input``: request_id, requested_at, the features, score and prediction.

        It is data until here, where it is about to run: so it is checked to be what this release would write for the
        parameters, or else one query over ``wml_input`` and nothing more.

        Raises
        ------
        ArtifactError
            If it is anything else.
        """
        check_stored_sql(self.stored_sql, self.parameters, f"{self.version.artifact_uri}/{SCORING}")
        return self.stored_sql

    def scoring_on(self, engine: str) -> str:
        """Return ``scoring_sql`` as an engine has it: what is kept, or what its parameters say in the engine's own SQL.

        Raises
        ------
        ArtifactError
            As ``scoring_sql``.
        """
        kept = self.scoring_sql
        return kept if engine == self.parameters.dialect else compiled_sql(self.parameters, engine)

    def told_on(self, engine: str) -> str:
        """Return what an engine is asked for a prediction, to be read: a query, or a comment where there is none."""
        if self.native is not None or engine == self.parameters.dialect:
            return self.stored_sql
        return stored_sql(self.parameters, self._forced, engine)

    @property
    def _forced(self) -> str:
        return str(self.facts.get("options", {}).get("SCORING_PATH", "AUTO"))

    def path(self, n_rows: int | None = None, *, is_stored: bool = False, engine: str = "duckdb") -> str:
        """Return how rows are scored, ``sql`` or ``arrow``: as its definition says, or as ``scoring_path`` does."""
        return scoring_path(self.parameters, n_rows, forced=self._forced, is_stored=is_stored, engine=engine)


def write_manifest(version: Version, folder: Path) -> None:
    """Write the manifest of a folder that is complete but for it: the format, the version's row, each file's hash."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    manifest = {
        "format": FORMAT,
        "version": {
            key: value for key, value in version.told().items() if key not in ("artifact_hash", "artifact_uri")
        },
        "files": {
            path.relative_to(folder).as_posix(): {"sha256": hash_of_file(path), "bytes": path.stat().st_size}
            for path in files
        },
    }
    (folder / MANIFEST).write_text(_json(manifest, indent=2), encoding="utf-8")


def version_of(manifest: Mapping[str, Any], artifact_hash: str, model: str, number: int, place: str) -> Version:
    """Return the row that a manifest tells of.

    Parameters
    ----------
    manifest : mapping
        As ``read_manifest`` gives it.
    artifact_hash : str
        Its hash.
    model : str
    number : int
        What the folder is called.
    place : str
        The folder, for errors.

    Raises
    ------
    ArtifactError
        If it is the manifest of another version, or a value is missing or of another type.
    """
    row = {**manifest["version"], "artifact_uri": f"{model}/{number}", "artifact_hash": artifact_hash}
    if (row.get("model"), row.get("version")) != (model, number):
        raise ArtifactError(
            f"the manifest is of {row.get('model')}@{row.get('version')}",
            place=place,
            hint="move the folder to where it belongs, or away",
        )
    try:
        for name in ("created_at", "as_of"):
            row[name] = dt.datetime.fromisoformat(row[name])
        for name in ("metrics", "environment"):
            row[name] = json.loads(row[name]) if isinstance(row[name], str) else dict(row[name])
        version = Version(**{name: row[name] for name in INDEX_SCHEMA.names})
        for name, value in version.row().items():
            if type(value) is not _PYTHON_TYPES[INDEX_SCHEMA.field(name).type] and (name, value) != (
                "git_commit",
                None,
            ):
                raise TypeError(f"{name} is a {type(value).__name__}")
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise ArtifactError(f"the manifest does not tell of a version: {error}", place=place) from None
    return version


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
        If a file is missing or changed, or does not hold what a version does.
    """
    manifest, found = read_manifest(folder)
    if found != version.artifact_hash:
        raise changed(folder / MANIFEST, found, version.artifact_hash)
    contents = read_files(folder, manifest)
    facts = read_json(contents[FACTS], folder / FACTS)
    check_facts(facts, folder / FACTS)
    try:
        texts = {name: contents[name].decode() for name in (DEFINITION, QUERY, SCORING) if name in contents}
        if "native" in facts:
            parameters: Parameters = native_parameters(facts["native"], str(folder / FACTS))
        else:
            parameters = Parameters.from_tables(read_tables(contents, folder), contents.get(ESTIMATOR))
    except UnicodeDecodeError:
        raise ArtifactError("its SQL is not UTF-8 text", place=str(folder)) from None
    except (TypeError, KeyError, OverflowError, ValueError) as error:
        # What the checks of the parameters did not think of; nothing of it has been used.
        raise ArtifactError(f"the parameters do not describe a model: {error}", place=str(folder)) from None
    return StoredVersion(
        version=version,
        parameters=parameters,
        stored_sql=texts[SCORING],
        facts=facts,
        definition=texts[DEFINITION],
        training_query=texts.get(QUERY),
    )


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


def _json(value: Mapping[str, Any], indent: int | None = None) -> str:
    return json.dumps(_finite(value), indent=indent, sort_keys=True, default=str, allow_nan=False)


def _finite(value: Any) -> Any:
    """Return the value without infinite numbers and NaN, which JSON does not have: null in their place."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list | tuple) else value
