"""One call of an ``ml.*`` table function, and what a function may ask for to answer it.

A function takes a :class:`Call` and a :class:`Context` and returns the text of a query in the warehouse's SQL, which
takes the call's place. What SQL alone cannot compute is computed at once and kept in a temporary table, see
:meth:`Context.keep`.
"""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from warehouse_ml.errors import DataError, WmlError
from warehouse_ml.registry import CHAMPION, Registry, StoredVersion
from warehouse_ml.tables import all_of
from warehouse_ml.templates import statement
from warehouse_ml.warehouses.base import Relation, Warehouse

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Call", "Context", "Function", "Input", "ModelName"]


@dataclass(frozen=True)
class ModelName:
    """A model as a query names it: ``late_arrival``, ``late_arrival@3`` or ``late_arrival@challenger``.

    Parameters
    ----------
    name : str
    version : str
        A number or an alias.
    """

    name: str
    version: str = CHAMPION

    def __str__(self) -> str:
        return self.name if self.version == CHAMPION else f"{self.name}@{self.version}"


@dataclass(frozen=True)
class Input:
    """A relation that a function reads: ``table name`` or ``(query)``.

    Parameters
    ----------
    sql : str
        A query for use in the call's place: it may read the CTEs around the call.
    alone : str
        The same rows as a statement of its own, the CTEs around the call in front.
    """

    sql: str
    alone: str


@dataclass(frozen=True)
class Call:
    """A call of a function.

    Parameters
    ----------
    name : str
        Without ``ml.``, lower case.
    place : str
        File, line and column, for errors.
    model : ModelName, optional
    inputs : tuple of Input
        In the order written.
    settings : mapping
        The fields of ``struct(...)`` and the ``name => value`` arguments, by lower-case name; constants as Python
        values (arrays as lists). A value that is an expression, such as a timestamp, is a :class:`str` of SQL for
        those names that the function's signature calls expressions.
    written : tuple of str
        The arguments behind model and relations, as SQL of the target.
    """

    name: str
    place: str
    model: ModelName | None = None
    inputs: tuple[Input, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    written: tuple[str, ...] = ()

    def get(self, setting: str, default: Any = None) -> Any:
        """Return a setting's value; NULL counts as not written."""
        value = self.settings.get(setting)
        return default if value is None else value


@dataclass(frozen=True)
class Context:
    """What answers calls.

    Parameters
    ----------
    warehouse : Warehouse
    registry : Registry
    as_of : datetime
        Whose champion ``model name`` means.
    is_view : bool
        Whether the text is to be stored as a view, which cannot read a temporary table.
    """

    warehouse: Warehouse
    registry: Registry
    as_of: dt.datetime
    is_view: bool = False
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def stored(self, call: Call) -> StoredVersion:
        """Return the version that a call names.

        Raises
        ------
        VersionNotFoundError
            If there is none, with the call's place.
        """
        if call.model is None:  # pragma: no cover - the signature asks for one
            raise DataError(f"ml.{call.name} needs a model", place=call.place)
        try:
            name = self.registry.name_of(call.model.name)
            return self.registry.load(self.registry.get(name, call.model.version, at=self.as_of))
        except WmlError as error:
            error.place = error.place or call.place
            raise

    def columns(self, read: Input) -> dict[str, str]:
        """Return an input's columns and their types."""
        return self.warehouse.columns(read.alone)

    def keep(self, call: Call, rows: pa.Table) -> str:
        """Put rows into a temporary table and return the query that reads them back."""
        relation = self._scratch(call)
        self.warehouse.load(relation, rows, temporary=True)
        return all_of(self.warehouse, relation)

    def keep_query(self, call: Call, sql: str) -> Relation:
        """Run a query into a temporary table and return its name."""
        relation = self._scratch(call)
        engine = self.warehouse.engine
        self.warehouse.run(statement(__package__, "keep.sql", engine, relation=relation, query=sql))
        return relation

    def _scratch(self, call: Call) -> Relation:
        if self.is_view:
            raise DataError(
                f"ml.{call.name} is computed when the relation is built, and a view holds no rows",
                place=call.place,
                hint="add materialized='table' to config(...)",
            )
        return Relation(f"_wml_{call.name}_{next(self._numbers)}")


Function = Callable[[Call, Context], str]
"""Answers a call with the text of a query; without a final semicolon, not in parentheses."""
