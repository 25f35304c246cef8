"""The artifact store: folders of versions, the index over them, and the ledger, all of it Parquet and JSON."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from warehouse_ml.errors import ArtifactError, RowsNotKeptError, VersionNotFoundError, did_you_mean
from warehouse_ml.registry.aliases import CANARY, CHAMPION, LEDGER_SCHEMA, Alias, Period, holder_at, periods
from warehouse_ml.registry.checked import SNAPSHOT, checked_snapshot, read_manifest
from warehouse_ml.registry.folder import hash_of_file, locked, publishing, staged_file, sweep
from warehouse_ml.registry.index import Index
from warehouse_ml.registry.ledger import LINES, Ledger
from warehouse_ml.registry.making import Making
from warehouse_ml.registry.objects import ObjectStore
from warehouse_ml.registry.version import (
    INDEX_SCHEMA,
    StoredVersion,
    Version,
    VersionContent,
    read_version,
    version_of,
    write_manifest,
    write_parquet,
)
from warehouse_ml.templates import statement
from warehouse_ml.warehouses.base import Warehouse

if TYPE_CHECKING:
    import pyarrow as pa

    from warehouse_ml.project import Project

__all__ = ["Registry"]

_READ_AGAIN = ".rows"
_LONGEST_NAME = 200
_NOT_IN_NAMES = frozenset('/\\\0<>:"|?*') | {chr(code) for code in range(32)}


class Registry:
    """The versions under one folder.

    What is only ever added is the truth: a folder for each version, a small file for what was written into the ledger
    together. Index and ledger as Parquet are made again from them whenever they differ, so that losing them, or a crash
    in between, loses nothing.

    Parameters
    ----------
    root : Path
        ``[artifacts] path``; made when the first version is published.
    max_snapshot_rows : int, optional
        A version trained on more rows keeps their query and hash alone; by default every version keeps its rows.
    store : ObjectStore, optional
        Where the versions are; the folder holds copies then.

    Attributes
    ----------
    rows_again : callable or None
        Reads the rows of a version again that keeps only their query. Set by whoever has the warehouse.
    making : Making
        What trainings make outside of the registry, until a version names it.
    """

    def __init__(self, root: Path, *, max_snapshot_rows: int | None = None, store: ObjectStore | None = None) -> None:
        self.root = root
        self.rows_again: Callable[[Registry, StoredVersion], pa.RecordBatchReader] | None = None
        self._store = store
        self._max_snapshot_rows = max_snapshot_rows
        self._index = Index(root)
        self._ledger = Ledger(root)
        self.making = Making(root, store)
        self._loaded: dict[str, StoredVersion] = {}
        self._snapshots: dict[str, Path] = {}

    @classmethod
    def of(cls, project: Project) -> Registry:
        """Return the registry of a project, as its settings say."""
        store = ObjectStore(project.store) if project.store else None
        registry = cls(project.artifacts, max_snapshot_rows=project.max_snapshot_rows, store=store)
        registry.pull()
        return registry

    def pull(self) -> None:
        """Copy what the object store has and the folder has not; without an object store there is nothing to do.

        Raises
        ------
        ArtifactError
            If the object store does not answer.
        """
        if self._store is not None:
            with locked(self.root):
                self._store.pull(self.root)

    def keeps_rows(self, n_rows: int) -> bool:
        """Return whether a version trained on so many rows keeps them."""
        return self._max_snapshot_rows is None or n_rows <= self._max_snapshot_rows

    def versions(self, model: str | None = None) -> list[Version]:
        """Return the versions of a model, or of all, oldest first.

        Raises
        ------
        ArtifactError
            If the manifest of a folder that the index does not know cannot be read.
        """
        return self._index.versions(model)

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
        if name.isdigit():
            wanted: int | None = int(name)
        else:
            wanted = holder_at(self._ledger.lines(model, name), model, name, at or dt.datetime.now(dt.UTC))
        found = None if wanted is None else self._index.find(model, wanted)
        if found is None:
            raise self._not_found(model, name, self.versions(model))
        return found

    def name_of(self, model: str) -> str:
        """Return a model's name as its versions write it, whatever case it is asked for in; unknown ones as asked."""
        known = {name.lower(): name for name in self._index.models()}
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

        Rows that are not kept are read again by the version's own query, and compared with their hash.

        Raises
        ------
        ArtifactError
            If they are missing or are not what was published.
        RowsNotKeptError
            If they are not kept, and the query gives others now.
        """
        if version.artifact_hash not in self._snapshots:
            if self._store is not None and self._lacks_snapshot(version):
                self._store.pull_snapshot(version.artifact_uri, self.root)
            path = checked_snapshot(self.root / version.artifact_uri)
            self._snapshots[version.artifact_hash] = path or self._read_again(version)
        return self._snapshots[version.artifact_hash]

    def _lacks_snapshot(self, version: Version) -> bool:
        folder = self.root / version.artifact_uri
        return SNAPSHOT in read_manifest(folder)[0]["files"] and not (folder / SNAPSHOT).exists()

    def _read_again(self, version: Version) -> Path:
        """Return the rows of a version that keeps only their query: those read before, or else read now."""
        if self.load(version).native is not None:
            raise RowsNotKeptError(
                f"{version.model}@{version.version} was trained by BigQuery ML: its {version.n_rows:,} rows stay there",
                place=version.artifact_uri,
                hint=f"its query is in {version.artifact_uri}/training_query.sql",
            )
        folder = self.root / _READ_AGAIN
        # The name of the file is its hash, so that rows read before are known to be what they were.
        for path in folder.glob(f"{version.artifact_hash[:16]}-*.parquet"):
            if path.stem.rpartition("-")[2] == hash_of_file(path):
                return path.resolve()
        if self.rows_again is None:
            name = f"{version.model}@{version.version}"
            raise RowsNotKeptError(
                f"{name} keeps the query of its {version.n_rows:,} training rows, not the rows",
                place=version.artifact_uri,
                hint=f"read them again: wml models rows {name}",
            )
        rows = self.rows_again(self, self.load(version))
        with locked(self.root):
            sweep(folder)
            with staged_file(folder) as staged:
                with staged.open("wb") as file:
                    write_parquet(rows, file)
                path = folder / f"{version.artifact_hash[:16]}-{hash_of_file(staged)}.parquet"
                staged.replace(path)
        return path.resolve()

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
            model = describe(0).model
            _check_name(model)
            sweep(self.root)
            sweep(self.root / model)
            if self._store is not None:
                self._store.pull(self.root)
            last = self._index.last_number(model)
            number = last + 1 if self._store is None else self._store.claim(model, last)
            folder = self.root / model / str(number)
            with publishing(folder) as staged:
                content.write(staged)
                write_manifest(describe(number), staged)
                if self._store is not None:
                    self._store.push(staged, f"{model}/{number}")
            version = version_of(*read_manifest(folder), model, number, str(folder))
            self._index.add(version)
        return version

    def ledger(self) -> list[Alias]:
        """Return every line of the ledger, in the order written."""
        return self._ledger.lines()

    def periods(self, model: str, alias: str) -> list[Period]:
        """Return who had an alias when."""
        return periods(self._ledger.lines(model, alias), model, alias)

    def holder(self, model: str, alias: str, at: dt.datetime) -> Version | None:
        """Return the version that had an alias at an instant, or None."""
        wanted = holder_at(self._ledger.lines(model, alias), model, alias, at)
        return None if wanted is None else self._index.find(model, wanted)

    def write_ledger(self, lines: Sequence[Alias]) -> None:
        """Add lines to the ledger, all of them or none."""
        self.amend(lambda _: lines)

    def amend(self, decide: Callable[[list[Alias]], Sequence[Alias]]) -> Sequence[Alias]:
        """Add the lines that a decision over the ledger as it is comes to, and return them.

        Nobody else writes between the reading and the writing: of two who promote the same, one finds it done.
        """
        with locked(self.root):
            sweep(self.root)
            sweep(self.root / LINES)
            if self._store is not None:
                self._store.pull(self.root)
            lines = decide(self.ledger())
            if lines:
                self._ledger.add(lines, None if self._store is None else self._store.push_lines)
        return lines

    def show_in(self, warehouse: Warehouse) -> None:
        """Make ``wml.model_versions`` and ``wml.model_aliases`` read the index and the ledger; views stand on them."""
        for view, path, schema in (
            ("model_versions", self._index.write(), INDEX_SCHEMA),
            ("model_aliases", self._ledger.write(), LEDGER_SCHEMA),
        ):
            shown = warehouse.parquet(path)
            warehouse.run(
                statement(
                    __package__, "registry_view.sql", warehouse.engine, view=view, path=shown, columns=schema.names
                )
            )
        ledger = warehouse.parquet(self._ledger.write())
        warehouse.run(statement(__package__, "alias_periods.sql", warehouse.engine, path=ledger))
        # A large view takes as long to make as all the others together; most projects never have a canary.
        if any(line.alias == CANARY for line in self.ledger()):
            warehouse.run(statement(__package__, "ab_results.sql", warehouse.engine))

    def _not_found(self, model: str, name: str, versions: list[Version]) -> VersionNotFoundError:
        if not versions:
            known = sorted(self._index.models())
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


def _check_name(model: str) -> None:
    """Refuse a model whose name is no name of a folder."""
    if not model or model.startswith(".") or len(model.encode()) > _LONGEST_NAME or set(model) & _NOT_IN_NAMES:
        raise ArtifactError(
            f'a model cannot be called "{model[:80]}": its versions are kept in a folder of that name',
            hint="take letters, digits and underscores",
        )
