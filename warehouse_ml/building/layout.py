"""How relations lie in the warehouse: as their config says it, and where they do not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from warehouse_ml.catalog import Catalog, Node
from warehouse_ml.errors import DataError
from warehouse_ml.tables import WINDOWED, own_layouts
from warehouse_ml.warehouses.base import WML, LaysOut, Relation, Warehouse, wml_table
from warehouse_ml.warehouses.layout import LAYOUT_KEYS, Layout, fitted, layout_of_config

__all__ = ["Misplaced", "check_layout", "declared", "layout_for", "misplaced", "must_be_dropped", "n_laid_out"]

_LOG = "request_log_"
_BY_HAND = "nothing can make its rows again, so copy them by hand: docs/bigquery.md, Partitions"


@dataclass(frozen=True)
class Misplaced:
    """A table that lies otherwise than it is set to.

    Parameters
    ----------
    relation : Relation
    place : str
        Where it is set: a file, or a table of wml.toml.
    found, wanted : Layout
    fix : str
        What to do about it.
    is_asked_for : bool
        Whether somebody wrote the setting down; if not, it is the default.
    """

    relation: Relation
    place: str
    found: Layout
    wanted: Layout
    fix: str
    is_asked_for: bool

    @property
    def told(self) -> str:
        """What is there, and what is asked for, in a sentence."""
        return f"{self.relation} lies {self.found}; {self.place} says {self.wanted}"


def declared(node: Node) -> Layout | None:
    """Return how a relation is to lie; None where nothing is said, and of a view."""
    return layout_of_config(node.config, kind=node.file.kind, place=node.place)


def check_layout(warehouse: Warehouse, node: Node, query: str) -> None:
    """Refuse a layout that a relation's columns do not allow; on every engine, whether or not it parts tables.

    Raises
    ------
    DataError
        If a column is not there, or is of a type that rows cannot be parted or sorted by.
    """
    layout = declared(node)
    if layout is not None and any(key in node.config for key in LAYOUT_KEYS):
        fitted(layout, warehouse.columns(query), engine=warehouse.engine, place=node.place)


def layout_for(warehouse: Warehouse, node: Node, query: str) -> Layout | None:
    """Return how a table is to be made from a query; None where the engine parts no tables.

    Raises
    ------
    DataError
        As ``check_layout``.
    """
    layout = declared(node) if isinstance(warehouse, LaysOut) else None
    if layout is None:
        return None
    try:
        return fitted(layout, warehouse.columns(query), engine=warehouse.engine, place=node.place)
    except DataError:
        if "partition_by" in node.config or layout.expiration_days is not None or layout.requires_filter:
            raise
        # That windows are cut by the column, whatever its type, was all that was asked for.
        bare = Layout(cluster_by=layout.cluster_by)
        return fitted(bare, warehouse.columns(query), engine=warehouse.engine, place=node.place)


def must_be_dropped(warehouse: Warehouse, relation: Relation, layout: Layout | None) -> bool:
    """Whether a table that is there lies otherwise, so that the engine would not replace it."""
    if not isinstance(warehouse, LaysOut):
        return False
    there = warehouse.layouts(relation.schema).get(relation.name.lower())
    return there is not None and not there.stands_as(layout or Layout())


def n_laid_out(warehouse: Warehouse, catalog: Catalog) -> int:
    """Return how many tables are there that have partitions to lie in."""
    if not isinstance(warehouse, LaysOut):
        return 0
    there = warehouse.layouts()
    relations = [node for node in catalog.of_kind("relation") if node.name.lower() in there]
    own = [name for name in warehouse.layouts(WML) if _own_kind(name)]
    return len(own) + sum(declared(node) is not None for node in relations)


def misplaced(warehouse: Warehouse, catalog: Catalog) -> Iterator[Misplaced]:
    """Yield the tables that lie otherwise than they are set to: relations first, then the toolkit's own.

    Nothing is yielded where the engine parts no tables.
    """
    if not isinstance(warehouse, LaysOut):
        return
    there = warehouse.layouts()
    for node in catalog.of_kind("relation"):
        wanted, found = declared(node), there.get(node.name.lower())
        if wanted is None or found is None or found == _comparable(wanted, found):
            continue
        relation = Relation(node.name)
        is_asked_for = any(key in node.config for key in LAYOUT_KEYS)
        yield Misplaced(relation, node.place, found, wanted, f"wml build {node.name} --fresh", is_asked_for)
    own, settings = own_layouts(warehouse), catalog.target.settings
    for name, found in sorted(warehouse.layouts(WML).items()):
        key = _own_kind(name)
        if key is None:
            continue
        wanted = own[key] if key == "logs" else Layout(own[key].field, own[key].granularity, found.cluster_by)
        if not found.stands_as(wanted):
            yield Misplaced(wml_table(name), f"{catalog.target.place} {key}", found, wanted, _BY_HAND, key in settings)


def _own_kind(name: str) -> str | None:
    return "logs" if name.startswith(_LOG) else "metrics" if name in WINDOWED else None


def _comparable(wanted: Layout, found: Layout) -> Layout:
    """Return a wanted layout in the words of one that was found, if it is the same."""
    is_same = (
        wanted.stands_as(found)
        and wanted.expiration_days == found.expiration_days
        and wanted.requires_filter == found.requires_filter
    )
    return found if is_same else wanted
