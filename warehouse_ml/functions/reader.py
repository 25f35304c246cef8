"""A file of the project as plain SQL of the target: rendered at a clock, its ``ml.*`` calls answered."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from warehouse_ml.catalog import Catalog, Clock, Node
from warehouse_ml.diagnosis import diagnosed
from warehouse_ml.errors import SqlError
from warehouse_ml.functions.call import Context
from warehouse_ml.functions.expand import Expanded, expand
from warehouse_ml.registry import CHAMPION, Registry
from warehouse_ml.warehouses.base import Warehouse

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Reader", "placing"]


@contextmanager
def placing(query: Expanded, warehouse: Warehouse) -> Iterator[None]:
    """Tell the warehouse's errors about a query at their place in the user's file, with the columns that are there."""
    try:
        yield
    except SqlError as error:
        raise diagnosed(query.placed(error), warehouse) from None


class Reader:
    """Reads the files of a project.

    Parameters
    ----------
    warehouse : Warehouse
    catalog : Catalog
    registry : Registry
    """

    def __init__(self, warehouse: Warehouse, catalog: Catalog, registry: Registry) -> None:
        self._warehouse = warehouse
        self._catalog = catalog
        self._registry = registry

    def query(self, node: Node, clock: Clock, *, is_view: bool = False) -> Expanded:
        """Return a file's query at a clock.

        Parameters
        ----------
        node : Node
        clock : Clock
            Whose champion ``model name`` means.
        is_view : bool
            Whether the query is stored as a view, which cannot hold what is computed outside of the warehouse.

        Raises
        ------
        SqlError
            If the warehouse refuses what a call reads; placed in the file.
        """
        source = self._catalog.source_text(node, clock)
        context = Context(self._warehouse, self._registry, clock.as_of, is_view)
        return expand(source.text.rstrip().rstrip(";"), context, place=node.place, at=source.at)

    def fetch(self, node: Node, clock: Clock) -> pa.Table:
        """Return the rows of a file's query at a clock.

        Raises
        ------
        SqlError
            If the warehouse refuses it; placed in the file.
        """
        query = self.query(node, clock)
        with placing(query, self._warehouse):
            return self._warehouse.fetch(query.sql)

    def versions(self, node: Node, as_of: dt.datetime) -> list[str]:
        """Return the hashes of the versions that answer the calls of a file and of all that it reads.

        A champion that changes makes other rows of the same text.

        Raises
        ------
        VersionNotFoundError
            If a model has none.
        """
        above = [self._catalog.nodes[other] for other in self._catalog.graph.above([node.id])]
        called = {call for other in above if other.id.kind == "relation" for call in other.models}
        found = [self._registry.get(model, version or CHAMPION, at=as_of) for model, version in called]
        return sorted(version.artifact_hash for version in found)
