"""What building asks of whoever reads the project's files."""

from __future__ import annotations

import datetime as dt
from typing import Protocol

from warehouse_ml.catalog import Clock, Node
from warehouse_ml.errors import SqlError

__all__ = ["Query", "Reader"]


class Query(Protocol):
    """A file's query in plain SQL."""

    @property
    def sql(self) -> str:
        """The query."""

    def placed(self, error: SqlError) -> SqlError:
        """Return an error about the query at its place in the file."""


class Reader(Protocol):
    """What turns a file into a query."""

    def query(self, node: Node, clock: Clock, *, is_view: bool = False) -> Query:
        """Return a file's query at a clock."""

    def versions(self, node: Node, as_of: dt.datetime) -> list[str]:
        """Return the hashes of the versions of models that the rows depend on."""
