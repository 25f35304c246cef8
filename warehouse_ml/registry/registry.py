"""The artifact store: folders of versions, the index over them, and the ledger, all of it Parquet and JSON."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from warehouse_ml.errors import ArtifactError, VersionNotFoundError, did_you_mean
from warehouse_ml.registry.aliases import CANARY, CHAMPION, LEDGER_SCHEMA, Alias, Period, holder_at, periods
from warehouse_ml.registry.folder import locked, publishing, replace_file, sweep
from warehouse_ml.registry.version import (
    INDEX_SCHEMA,
    MANIFEST,
    StoredVersion,
    Version,
    VersionContent,
    checked_snapshot,
    parquet_bytes,
    read_manifest,
    read_version,
    write_manifest,
)
from warehouse_ml.templates import statement
from warehouse_ml.warehouses.base import Warehouse

__all__ = ["Registry"]

_INDEX = "index.parquet"
_LEDGER = "aliases.parquet"


class Registry:
    """The versions under one folder.

    The folders are the truth: a version is there when its folder is. The index is made again from them whenever
    the two differ, so that losing it, or a crash between folder and index, loses nothing.

    Parameters
    ----------
    root : Path
        ``[artifacts] path``; made when the first version is published.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._loaded: dict[str, StoredVersion] = {}
        self._snapshots: dict[str, Path] = {}

    def versions(self, model: str | None = None) -> list[Version]:
        """Return the versions of a model, or of all, oldest first.

        Raises
        ------
        ArtifactError
            If the index or a manifest cannot be read.
        """
        rows = [Version.from_row(row) for row in _read(self.root / _INDEX, INDEX_SCHEMA)]
        folders = self._folders()
        if {version.artifact_uri for version in rows} != set(folders):
            rows = self._index_again()
        return [version for version in rows if model is None or version.model == model]

    def get(self, model: str, name: str = CHAMPION, *, at: dt.datetime | None = None) -> Version:
        """Return a version by number or alias.

        Parameters
        ----------
        model : str
        name : str
            A number, or an alias such as ``champion``.
        at : datetime, optional
            Who had the alias then; now by default.

        Raises
        ------
        VersionNotFoundError
            If the model has no such version, or nobody had the alias.
        """
        versions = self.versions(model)
        if name.isdigit():
            wanted: int | None = int(name)
        else:
            wanted = holder_at(self.ledger(), model, name, at or dt.datetime.now(dt.UTC))
        for version in versions:
            if version.version == wanted:
                return version
        raise self._not_found(model, name, versions)

    def name_of(self, model: str) -> str:
        """Return a model's name as its versions write it, whatever case it is asked for in; unknown ones as asked."""
        known = {version.model.lower(): version.model for version in self.versions()}
        return known.get(model.lower(), model)

    def load(self, version: Version) -> StoredVersion:
        """Return what a version's folder holds, every byte checked; no code in it runs.

        A folder is read and checked once in the life of the registry.

        Raises
        ------
        ArtifactError
            If a file is missing or is not what was published.
        """
        if version.artifact_hash not in self._loaded:
            self._loaded[version.artifact_hash] = read_version(self.root / version.artifact_uri, version)
        return self._loaded[version.artifact_hash]

    def snapshot_path(self, version: Version) -> Path:
        """Return where the rows are that the version was trained on, checked once in the life of the registry.

        Raises
        ------
        ArtifactError
            If they are missing or are not what was published.
        """
        if version.artifact_hash not in self._snapshots:
            self._snapshots[version.artifact_hash] = checked_snapshot(self.root / version.artifact_uri)
        return self._snapshots[version.artifact_hash]

    def publish(self, describe: Callable[[int], Version], content: VersionContent) -> Version:
        """Add a version: it is there whole, or not at all.

        Parameters
        ----------
        describe : callable
            Given the number that the version gets, returns its row; the registry fills in URI and hash.
        content : VersionContent

        Raises
        ------
        ArtifactError
            If it cannot be written; nothing is left behind.
        """
        with locked(self.root):
            draft = describe(0)
            number = max((version.version for version in self.versions(draft.model)), default=0) + 1
            draft = dataclasses.replace(describe(number), artifact_uri=f"{draft.model}/{number}")
            sweep(self.root / draft.model)
            with publishing(self.root / draft.model / str(number)) as folder:
                content.write(folder)
                write_manifest(draft.row(), folder)
            self._index_again()
        return next(version for version in self.versions(draft.model) if version.version == number)

    def ledger(self) -> list[Alias]:
        """Return every line of the ledger, in the order written."""
        return [Alias.from_row(row) for row in _read(self.root / _LEDGER, LEDGER_SCHEMA)]

    def periods(self, model: str, alias: str) -> list[Period]:
        """Return who had an alias when."""
        return periods(self.ledger(), model, alias)

    def holder(self, model: str, alias: str, at: dt.datetime) -> Version | None:
        """Return the version that had an alias at an instant, or None."""
        wanted = holder_at(self.ledger(), model, alias, at)
        return next((version for version in self.versions(model) if version.version == wanted), None)

    def write_ledger(self, lines: Sequence[Alias]) -> None:
        """Add lines to the ledger, all of them or none."""
        self.amend(lambda _: lines)

    def amend(self, decide: Callable[[list[Alias]], Sequence[Alias]]) -> Sequence[Alias]:
        """Add the lines that a decision over the ledger as it is comes to, and return them.

        Nobody else writes between the reading and the writing: of two who promote the same, one finds it done.
        """
        with locked(self.root):
            before = self.ledger()
            lines = decide(before)
            if lines:
                rows = [dataclasses.asdict(line) for line in (*before, *lines)]
                replace_file(self.root / _LEDGER, parquet_bytes(pa.Table.from_pylist(rows, schema=LEDGER_SCHEMA)))
        return lines

    def show_in(self, warehouse: Warehouse) -> None:
        """Make ``wml.model_versions`` and ``wml.model_aliases`` read the index and the ledger; views stand on them."""
        for file, schema in ((_INDEX, INDEX_SCHEMA), (_LEDGER, LEDGER_SCHEMA)):
            path = self.root / file
            if not path.exists():
                with locked(self.root):
                    replace_file(path, parquet_bytes(schema.empty_table()))
        self._widen_ledger()
        self.versions()
        for view, file in (("model_versions", _INDEX), ("model_aliases", _LEDGER)):
            shown = (self.root / file).resolve().as_posix()
            columns = (INDEX_SCHEMA if file == _INDEX else LEDGER_SCHEMA).names
            warehouse.run(
                statement(__package__, "registry_view.sql", warehouse.engine, view=view, path=shown, columns=columns)
            )
        ledger = (self.root / _LEDGER).resolve().as_posix()
        warehouse.run(statement(__package__, "alias_periods.sql", warehouse.engine, path=ledger))
        # A large view takes as long to make as all the others together; most projects never have a canary.
        if any(line.alias == CANARY for line in self.ledger()):
            warehouse.run(statement(__package__, "ab_results.sql", warehouse.engine))

    def _widen_ledger(self) -> None:
        """Give the ledger of an earlier release the columns that came since; a view names them all."""
        try:
            if set(LEDGER_SCHEMA.names) <= set(pq.read_schema(self.root / _LEDGER).names):
                return
        except (pa.ArrowException, OSError):
            return  # told where the ledger is read
        with locked(self.root):
            rows = [dataclasses.asdict(line) for line in self.ledger()]
            replace_file(self.root / _LEDGER, parquet_bytes(pa.Table.from_pylist(rows, schema=LEDGER_SCHEMA)))

    def _folders(self) -> list[str]:
        return [path.parent.relative_to(self.root).as_posix() for path in self.root.glob(f"*/[0-9]*/{MANIFEST}")]

    def _index_again(self) -> list[Version]:
        versions = []
        for uri in self._folders():
            manifest, artifact_hash = read_manifest(self.root / uri)
            row = {**manifest["version"], "artifact_uri": uri, "artifact_hash": artifact_hash}
            for name in ("created_at", "as_of"):
                row[name] = dt.datetime.fromisoformat(row[name])
            versions.append(Version.from_row(row))
        versions.sort(key=lambda version: (version.model, version.version))
        table = pa.Table.from_pylist([version.row() for version in versions], schema=INDEX_SCHEMA)
        replace_file(self.root / _INDEX, parquet_bytes(table))
        return versions

    def _not_found(self, model: str, name: str, versions: list[Version]) -> VersionNotFoundError:
        if not versions:
            known = sorted({version.model for version in self.versions()})
            return VersionNotFoundError(
                f'the model "{model}" has no version yet',
                has=known or None,
                hint=did_you_mean(model, known) or f"train one: wml train {model}",
            )
        aliases = sorted({line.alias for line in self.ledger() if line.model == model})
        return VersionNotFoundError(
            f'no version "{name}" of {model}',
            has=[*(str(version.version) for version in versions), *aliases],
            hint=did_you_mean(name, aliases),
        )


def _read(path: Path, schema: pa.Schema) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    try:
        rows: list[dict[str, Any]] = pq.read_table(path, schema=schema).to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise ArtifactError(
            f"cannot be read: {str(error).splitlines()[0]}",
            place=str(path),
            hint="delete the index: it is made again from the folders" if path.name == _INDEX else None,
        ) from None
    return rows
