"""Files of this machine that a statement names: each is a table, loaded when it is named and has changed since."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from warehouse_ml.errors import WarehouseError
from warehouse_ml.warehouses.base import Relation
from warehouse_ml.warehouses.bigquery.rewrite import FILE

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Files"]

_Stamp = tuple[tuple[str, int, int], ...]


class Files:
    """The tables that stand for files.

    Each file has one table, ``wml.file_<name>_<hash of its path>``, which keeps a hash of what it holds as its
    description. So a file is loaded once, and again when what it holds is another; views that stand on it stay.

    Parameters
    ----------
    load : callable
        Writes rows into a table, with a description.
    description : callable
        Returns the description of a table, or None if there is no such table.
    schema : str or None
        Where the tables are; None: they are this connection's own, and gone with it.
    """

    def __init__(
        self,
        load: Callable[[Relation, pa.Table, str], None],
        description: Callable[[Relation], str | None],
        schema: str | None,
    ) -> None:
        self._load = load
        self._description = description
        self._schema = schema
        self._known: dict[str, _Stamp] = {}

    def named(self, name: str) -> Relation:
        """Return the table of a file, or of several, as a statement names them: ``file:/data/2024-*%2Eparquet``."""
        return self.table(unquote(name.removeprefix(FILE)))

    def table(self, path: str, *, position: str | None = None) -> Relation:
        """Return the table of a file, with what the file holds now.

        Parameters
        ----------
        path : str
            Or a pattern of several.
        position : str, optional
            Write the number of each row in the file, from 0, into a column of this name.

        Raises
        ------
        WarehouseError
            If there is no such file, or it cannot be read.
        """
        found = _matching(path)
        try:
            stamp = tuple((each, (status := Path(each).stat()).st_size, status.st_mtime_ns) for each in found)
        except OSError as error:
            raise WarehouseError(f"cannot be read: {error.strerror}", place=path) from None
        if not stamp:
            raise WarehouseError("there is no such file", place=path)
        stem = re.sub(r"[^A-Za-z0-9_]+", "_", Path(path).name.partition(".")[0]).strip("_") or "rows"
        digest = hashlib.md5(f"{path}\0{position}".encode(), usedforsecurity=False).hexdigest()[:12]
        relation = Relation(f"file_{stem}_{digest}", self._schema)
        if self._known.get(relation.name) != stamp:
            content = _content(found)
            if self._schema is None or self._description(relation) != content:
                rows = _rows(found)
                self._load(relation, rows if position is None else _numbered(rows, position), content)
            self._known[relation.name] = stamp
        return relation


def _matching(path: str) -> list[str]:
    if not any(sign in path for sign in "*?["):
        return [path]
    whole = Path(path)
    return sorted(str(found) for found in Path(whole.anchor).glob(str(whole.relative_to(whole.anchor))))


def _content(paths: list[str]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        with Path(path).open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return f"warehouse-ml: {digest.hexdigest()}"


def _rows(paths: list[str]) -> pa.Table:
    import pyarrow as pa
    from pyarrow import csv, dataset, json

    lower = paths[0].lower()
    try:
        if lower.endswith(".parquet"):
            return dataset.dataset(paths, format="parquet").to_table()
        read = csv.read_csv if lower.endswith((".csv", ".csv.gz")) else json.read_json
        return pa.concat_tables([read(path) for path in paths], promote_options="default")
    except (OSError, pa.ArrowInvalid) as error:
        raise WarehouseError(f"cannot be read: {str(error).splitlines()[0]}", place=paths[0]) from None


def _numbered(rows: pa.Table, position: str) -> pa.Table:
    import pyarrow as pa

    return rows.append_column(position, pa.array(range(len(rows)), pa.int64()))
