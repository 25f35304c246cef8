"""The ledger's files: what was written together is one small file of its own, never changed and never replaced.

``aliases.parquet`` holds the same lines for the warehouse to read. It is made again from the files whenever it does not
tell of all of them, so that losing it loses nothing.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import json
import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from warehouse_ml.columns import named_rows
from warehouse_ml.errors import ArtifactError
from warehouse_ml.registry.aliases import LEDGER_SCHEMA, Alias
from warehouse_ml.registry.checked import read_json
from warehouse_ml.registry.folder import Busy, Listing, locked, replace_file
from warehouse_ml.registry.version import parquet_bytes

__all__ = ["LEDGER", "LINES", "Ledger", "is_ledger_file"]

LEDGER = "aliases.parquet"
LINES = "ledger"
"""The folder of the files. A model may be called so: its versions are folders, these are files."""

_FILE = re.compile(r"\d{8}-[0-9a-f]{8}\.json")
_TOLD = b"wml_files"
_FORMAT = 1
_MOST_BYTES = 2**24


class Ledger:
    """The lines of the ledger under one folder.

    Parameters
    ----------
    root : Path
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._path = root / LEDGER
        self._listing = Listing(root / LINES)
        self._seen: tuple[object, ...] | None = None
        self._table = pa.Table.from_batches([], schema=LEDGER_SCHEMA)
        self._lines: dict[tuple[str | None, str | None], list[Alias]] = {}
        self._is_written = False

    def lines(self, model: str | None = None, alias: str | None = None) -> list[Alias]:
        """Return every line, or those of one model and alias, in the order written.

        Raises
        ------
        ArtifactError
            If a file of the ledger cannot be read.
        """
        self._look()
        key = (model, alias)
        if key not in self._lines:
            if not self._lines:
                self._lines[None, None] = [Alias.from_row(row) for row in named_rows(self._table)]
            self._lines[key] = [
                line for line in self._lines[None, None] if model in (None, line.model) and alias in (None, line.alias)
            ]
        return list(self._lines[key])

    def add(self, lines: Sequence[Alias], push: Callable[[str, bytes], None] | None = None) -> None:
        """Add lines, all of them or none; the store's lock is held.

        Parameters
        ----------
        lines : sequence of Alias
        push : callable, optional
            Given name and content of their file before it is written here.

        Raises
        ------
        ArtifactError
            If they cannot be written; nothing is left behind.
        """
        self._look()
        names = self._names()
        if not names and len(self._table):
            # An earlier release kept the lines in the Parquet file alone.
            names = [self._put(1, self.lines(), push)]
        last = int(names[-1].partition("-")[0]) if names else 0
        name = self._put(last + 1, lines, push)
        rows = pa.Table.from_pylist([dataclasses.asdict(line) for line in lines], schema=LEDGER_SCHEMA)
        self._seen = None
        with contextlib.suppress(ArtifactError):
            self._write(pa.concat_tables([self._table, rows]), [*names, name])

    def write(self) -> Path:
        """Bring the Parquet file into step with the files, and return where it is.

        Raises
        ------
        ArtifactError
            If it cannot be written.
        """
        self._look()
        if not self._is_written:
            with locked(self._root):
                self._write(self._table, self._names())
        return self._path

    def _look(self) -> None:
        names = self._names()
        try:
            found = self._path.stat()
        except OSError:
            found = None
        seen = (names, found and (found.st_mtime_ns, found.st_size, found.st_ino))
        if seen == self._seen:
            return
        table, is_whole = _read(self._path) if found else (None, False)
        # Without a single file, what an earlier release left in the Parquet file is all there is.
        if table is not None and (not names or _told(table) == names):
            self._set(table)
            self._is_written = is_whole
        else:
            rows = [row for name in names for row in self._get(name)]
            self._set(pa.Table.from_pylist(rows, schema=LEDGER_SCHEMA))
            self._is_written = False
            # A reader never waits for a training to end, and needs no right to write.
            with contextlib.suppress(ArtifactError, Busy):
                if names:
                    with locked(self._root, wait=False):
                        self._write(self._table, names)
                        return
        self._seen = seen

    def _names(self) -> list[str]:
        return sorted(name for name in self._listing.names() if is_ledger_file(name))

    def _set(self, table: pa.Table) -> None:
        self._table, self._lines = table.replace_schema_metadata(None), {}

    def _put(self, number: int, lines: Sequence[Alias], push: Callable[[str, bytes], None] | None) -> str:
        rows = [dataclasses.asdict(line) for line in lines]
        content = json.dumps({"format": _FORMAT, "lines": rows}, indent=2, default=dt.datetime.isoformat)
        name = f"{number:08d}-{uuid.uuid4().hex[:8]}.json"
        if push is not None:
            push(name, content.encode())
        replace_file(self._root / LINES / name, content.encode())
        return name

    def _get(self, name: str) -> list[dict[str, Any]]:
        path = self._root / LINES / name
        try:
            if path.is_symlink() or path.stat().st_size > _MOST_BYTES:
                raise ArtifactError("is no file that a ledger has: a link, or too large", place=str(path))
            found = read_json(path.read_bytes(), path)
        except OSError as error:
            raise ArtifactError(f"cannot be read: {error.strerror}", place=str(path)) from None
        try:
            if found["format"] > _FORMAT:
                raise ArtifactError(
                    f"format {found['format']} is newer than this release reads ({_FORMAT})",
                    place=str(path),
                    hint="upgrade: pip install --upgrade warehouse-ml",
                )
            rows = [_typed(row) for row in found["lines"]]
            pa.Table.from_pylist(rows, schema=LEDGER_SCHEMA)
        except (KeyError, TypeError, ValueError, AttributeError, pa.ArrowException) as error:
            raise ArtifactError(f"holds no lines of the ledger: {error}", place=str(path)) from None
        return rows

    def _write(self, table: pa.Table, names: Sequence[str]) -> None:
        told = {_TOLD: json.dumps(list(names)).encode()}
        replace_file(self._path, parquet_bytes(table.replace_schema_metadata(told)))
        found = self._path.stat()
        self._seen = (list(names), (found.st_mtime_ns, found.st_size, found.st_ino))
        self._set(table)
        self._is_written = True


def is_ledger_file(name: str) -> bool:
    """Return whether a file of the ledger is called so."""
    return _FILE.fullmatch(name) is not None


def _read(path: Path) -> tuple[pa.Table | None, bool]:
    """Return the Parquet file and whether it has every column; None if it is none of a ledger.

    That of an earlier release may have fewer columns; what is not there is null.
    """
    try:
        table = pq.ParquetFile(path).read()
        told = [field for field in LEDGER_SCHEMA if field.name in table.schema.names]
        if table.schema.types != [field.type for field in told]:
            return None, False
        for field in LEDGER_SCHEMA:
            if field.name not in table.schema.names:
                table = table.append_column(field, pa.nulls(len(table), field.type))
        return table.select(LEDGER_SCHEMA.names), len(told) == len(LEDGER_SCHEMA)
    except (pa.ArrowException, OSError, ValueError):
        return None, False


def _told(table: pa.Table | None) -> list[str] | None:
    """Return the files that a Parquet file of the ledger was made from, or None if it does not say."""
    about = {} if table is None else table.schema.metadata or {}
    try:
        found = json.loads(about[_TOLD])
    except (KeyError, ValueError):
        return None
    return found if isinstance(found, list) else None


def _typed(row: Mapping[str, Any]) -> dict[str, Any]:
    values = {name: row.get(name) for name in LEDGER_SCHEMA.names}
    for field in LEDGER_SCHEMA:
        value = values[field.name]
        if pa.types.is_timestamp(field.type) and value is not None:
            values[field.name] = dt.datetime.fromisoformat(value)
    for name in ("model", "alias", "since"):
        if values[name] is None:
            raise ValueError(f"{name} is missing")
    return values
