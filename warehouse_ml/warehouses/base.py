"""What a step may ask of a warehouse, whichever engine it is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from warehouse_ml.warehouses.layout import Layout

if TYPE_CHECKING:
    import pyarrow as pa

Parameters = Mapping[str, Any]

WML = "wml"
"""The schema of the toolkit's own tables."""


@dataclass(frozen=True, order=True)
class Relation:
    """A table or view by name; quoting is the dialect's work, never the caller's."""

    name: str
    schema: str | None = None

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}" if self.schema else self.name


def wml_table(name: str) -> Relation:
    """Return the relation of one of the toolkit's own tables."""
    return Relation(name, WML)


class Warehouse(Protocol):
    """A connection to one engine.

    A third engine is a module with this protocol, a file of macros and a passed conformance suite: docs/engines.md.
    Timestamps are instants in UTC on every engine. Parameters are named; the statement writes them as the engine
    does, which ``{{ param('name') }}`` renders.
    """

    name: str
    engine: str
    defines_in_transactions: bool
    """Whether tables, views and columns can be defined inside of a transaction; if not, only what is temporary can."""

    def run(self, sql: str, parameters: Parameters | None = None) -> None:
        """Run one statement for its effect."""

    def fetch(self, sql: str, parameters: Parameters | None = None) -> pa.Table:
        """Run one query and return all of its rows."""

    def stream(
        self, sql: str, parameters: Parameters | None = None, *, batch_rows: int = 100_000
    ) -> pa.RecordBatchReader:
        """Run one query and return its rows in batches; no other statement may run until it is read."""

    def load(self, relation: Relation, rows: pa.Table, *, temporary: bool = False) -> None:
        """Write rows into a table, created or replaced; a temporary one is this connection's own, and is not kept."""

    def drop_temporary(self, names: Iterable[str]) -> None:
        """Take temporary tables of this connection away, those that are there, in one request to the engine."""

    def transaction(self) -> AbstractContextManager[None]:
        """All statements inside take effect together or not at all; may be nested.

        If the block raises, all is as it was before. An engine whose transactions take no definitions of tables puts
        those back by itself; only there, a process that dies in the middle leaves the tables defined so far.
        """

    def exists(self, relation: Relation) -> bool:
        """Whether a table or view of this name is there."""

    def kind(self, relation: Relation) -> str | None:
        """Return ``'table'`` or ``'view'``, or None if there is no such relation."""

    def kinds(self, schema: str | None = None) -> dict[str, str]:
        """Return ``'table'`` or ``'view'`` of every relation of a schema, by name in lower case."""

    def columns(self, query: str, parameters: Parameters | None = None) -> dict[str, str]:
        """Return the names and types of a query's columns, in order, without running it."""

    def dry_run(self, sql: str, parameters: Parameters | None = None) -> int | None:
        """Return the bytes a statement would read, without running it; None where the engine counts none."""

    def description(self, relation: Relation) -> str | None:
        """Return the words that the engine keeps beside a table, see the macro ``describe_table``; None without any."""

    def parquet(self, path: Path) -> str | Relation:
        """Return what the macro ``read_parquet`` takes for a file of this machine: its path, or a table with its rows.

        A view may stand on it: it is there until the file is asked for with other contents.
        """

    def table_functions(self, mark: str) -> dict[str, str] | None:
        """Return the table functions whose words begin with a mark: the words, by name.

        None where the engine has no function of any relation, so that there is nothing to install.
        """

    def close(self) -> None:
        """Give the warehouse back."""


@runtime_checkable
class CountsBytes(Protocol):
    """A warehouse that bills, or tells, the bytes that its jobs read.

    ``max_bytes`` is what this connection may read in all: a job that would pass it is refused before it runs, with
    ``TooManyBytesError``. None: no limit.
    """

    name: str
    max_bytes: int | None
    bytes_processed: int
    n_jobs: int


@runtime_checkable
class LaysOut(Protocol):
    """A warehouse that keeps tables in partitions, so that a query which says when reads those alone.

    ``log_layout`` and ``metrics_layout`` say how the toolkit's own tables are made; those of metrics have columns of
    their own to be sorted by.
    """

    log_layout: Layout
    metrics_layout: Layout

    def layouts(self, schema: str | None = None) -> dict[str, Layout]:
        """Return how each table of a schema lies, by name in lower case."""
