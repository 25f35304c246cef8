"""The index: one Parquet file with a row for each version, kept in step with the folders.

The folders are the truth. At each look their names are listed, which costs a millisecond a thousand, and compared with
the rows; only a version that is new to the index has its manifest read. An index that is lost, torn or of another time
is thereby made again, and one that cannot be written (a read-only disk) is made again in memory.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from warehouse_ml.columns import rows_of
from warehouse_ml.errors import ArtifactError
from warehouse_ml.registry.checked import MANIFEST, read_manifest
from warehouse_ml.registry.folder import Busy, Listing, locked, replace_file
from warehouse_ml.registry.version import INDEX_SCHEMA, Version, parquet_bytes, version_of

__all__ = ["INDEX", "Index", "as_number", "numbers_in", "read_parquet"]

INDEX = "index.parquet"
_LONGEST_NUMBER = 18


class Index:
    """The rows of all versions under one folder.

    Parameters
    ----------
    root : Path
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._path = root / INDEX
        self._stamp: tuple[int, ...] | None = None
        self._is_written = False
        self._models = Listing(root)
        self._folders: dict[str, tuple[Listing, int, frozenset[int]]] = {}
        self._set(_no_rows())

    def versions(self, model: str | None = None) -> list[Version]:
        """Return the versions of a model, or of all, by model and number."""
        table = self._current()
        if model not in self._listed:
            self._listed[model] = _versions(table if model is None else self._rows(model))
        return list(self._listed[model])

    def find(self, model: str, number: int) -> Version | None:
        """Return one version, or None."""
        self._current()
        row = self._known.get(model, {}).get(number)
        return None if row is None else _versions(self._table.slice(row, 1))[0]

    def _rows(self, model: str) -> pa.Table:
        """Return the rows of a model, which stand together."""
        rows = self._known.get(model, {}).values()
        return self._table.slice(min(rows, default=0), len(rows))

    def models(self) -> list[str]:
        """Return the names of the models that have a version."""
        self._current()
        return list(self._known)

    def last_number(self, model: str) -> int:
        """Return the highest number that is taken, by a version or by a folder that is none; 0 if there is none."""
        return max((*self._known_after_look(model), *numbers_in(self._root / model)), default=0)

    def add(self, version: Version) -> None:
        """Add a row for a version that was just published; the store's lock is held.

        If the index cannot be written the version is there all the same: the next look makes the index again.
        """
        with contextlib.suppress(ArtifactError):
            self._heal([version], set(), can_write=True)

    def write(self) -> Path:
        """Bring the file into step with the folders, and return where it is.

        Raises
        ------
        ArtifactError
            If it cannot be written.
        """
        self._current()
        if not self._is_written:
            with locked(self._root):
                self._write()
        return self._path

    def _current(self) -> pa.Table:
        self._read()
        there = self._numbers()
        gone = {
            (model, number)
            for model, known in self._known.items()
            for number in known.keys() - there.get(model, frozenset())
        }
        new = []
        for model, numbers in there.items():
            for number in sorted(numbers - self._known.get(model, {}).keys()):
                folder = self._root / model / str(number)
                # A folder without a manifest is no version, and nor is a link to one.
                if not folder.is_symlink() and os.path.lexists(folder / MANIFEST):
                    manifest, artifact_hash = read_manifest(folder)
                    new.append(version_of(manifest, artifact_hash, model, number, str(folder)))
        if gone or new:
            self._heal(new, gone, can_write=False)
        return self._table

    def _numbers(self) -> dict[str, frozenset[int]]:
        """Return the numbers of each model's folders."""
        found = {}
        for model in self._models.names():
            if model.startswith("."):
                continue
            listing, n_changes, numbers = self._folders.get(model) or (Listing(self._root / model), 0, frozenset())
            names = listing.names()
            if listing.n_changes != n_changes or not names:
                numbers = frozenset(number for name in names if (number := as_number(name)) is not None)
            self._folders[model] = (listing, listing.n_changes, numbers)
            found[model] = numbers
        return found

    def _known_after_look(self, model: str) -> Iterable[int]:
        self._current()
        return self._known.get(model, {})

    def _read(self) -> None:
        """Read the file if it is another one than that read last."""
        try:
            found = self._path.stat()
        except OSError:
            found = None
        stamp = (found.st_mtime_ns, found.st_size, found.st_ino) if found else None
        if stamp == self._stamp and (stamp is not None or not self._is_written):
            return
        self._stamp = stamp
        table = read_parquet(self._path, INDEX_SCHEMA) if found else None
        self._is_written = table is not None
        self._set(table if table is not None and _is_sound(table) else _no_rows())

    def _heal(self, new: list[Version], gone: set[tuple[str, int]], *, can_write: bool) -> None:
        table = self._table
        if gone:
            pairs = zip(table["model"].to_pylist(), table["version"].to_pylist(), strict=True)
            table = table.filter(pa.array([pair not in gone for pair in pairs], pa.bool_()))
        if new:
            rows = pa.Table.from_pylist([version.row() for version in new], schema=INDEX_SCHEMA)
            table = pa.concat_tables([table, rows])
        self._set(table.sort_by([("model", "ascending"), ("version", "ascending")]))
        self._is_written = False
        if can_write:
            self._write()
            return
        # A reader never waits for a training to end, and needs no right to write.
        with contextlib.suppress(ArtifactError, Busy), locked(self._root, wait=False):
            self._write()

    def _write(self) -> None:
        replace_file(self._path, parquet_bytes(self._table))
        found = self._path.stat()
        self._stamp, self._is_written = (found.st_mtime_ns, found.st_size, found.st_ino), True

    def _set(self, table: pa.Table) -> None:
        self._table = table
        self._known: dict[str, dict[int, int]] = {}
        names, numbers = table["model"].to_pylist(), table["version"].to_pylist()
        for row, (name, number) in enumerate(zip(names, numbers, strict=True)):
            self._known.setdefault(name, {})[number] = row
        self._listed: dict[str | None, list[Version]] = {}


def numbers_in(folder: Path) -> frozenset[int]:
    """Return the numbers that something in the folder of a model is called by."""
    return frozenset(number for name in Listing(folder).names() if (number := as_number(name)) is not None)


def as_number(name: str) -> int | None:
    """Return the number of a version's folder, or None if the name is none."""
    is_number = name.isascii() and name.isdecimal() and name[0] != "0" and len(name) <= _LONGEST_NUMBER
    return int(name) if is_number else None


def read_parquet(path: Path, schema: pa.Schema) -> pa.Table | None:
    """Return a derived table, or None if the file is not one of this schema and has to be made again."""
    try:
        table = pq.ParquetFile(path).read()
        return table if table.schema.names == schema.names and table.schema.types == schema.types else None
    except (pa.ArrowException, OSError, ValueError):
        return None


def _is_sound(table: pa.Table) -> bool:
    """Return whether each row points to its own folder, once and in order; any other index is made again."""
    nullable = ("git_commit",)
    if any(table[name].null_count for name in table.schema.names if name not in nullable):
        return False
    rows = list(rows_of(table.select(["model", "version", "artifact_uri"])))
    in_order = all(one[:2] < other[:2] for one, other in pairwise(rows))
    return in_order and all(uri == f"{model}/{version}" for model, version, uri in rows)


def _no_rows() -> pa.Table:
    return pa.Table.from_batches([], schema=INDEX_SCHEMA)


def _versions(table: pa.Table) -> list[Version]:
    columns = list(zip(*rows_of(table), strict=True)) if len(table) else []
    for index, name in enumerate(INDEX_SCHEMA.names if columns else ()):
        if name in ("metrics", "environment"):
            # Read at once: ten thousand calls would take as long as everything else.
            texts = list(dict.fromkeys(columns[index]))
            try:
                found = dict(zip(texts, json.loads(f"[{','.join(texts)}]"), strict=True))
            except (ValueError, RecursionError):
                raise ArtifactError(
                    f"the index holds {name} that are not JSON",
                    hint=f"delete {INDEX}: it is made again from the folders",
                ) from None
            columns[index] = tuple(found[text] for text in columns[index])
    return [Version(*row) for row in zip(*columns, strict=True)]
