"""What a relation said when it was built, kept under its hash: files change, the rows they made stay."""

from __future__ import annotations

import datetime as dt
import hashlib
import json

from warehouse_ml.building.reading import Reader
from warehouse_ml.catalog import Catalog, Node
from warehouse_ml.commits import git_state
from warehouse_ml.templates import statement
from warehouse_ml.warehouses.base import Warehouse

__all__ = ["hash_of", "keep_definition"]


def hash_of(catalog: Catalog, reader: Reader, node: Node, as_of: dt.datetime) -> str:
    """Return a hash of what the node and all above it say, and of the models that answer in it."""
    definition_hash = catalog.definition_hash(node)
    versions = reader.versions(node, as_of)
    return hashlib.sha256(" ".join([definition_hash, *versions]).encode()).hexdigest() if versions else definition_hash


def keep_definition(warehouse: Warehouse, catalog: Catalog, reader: Reader, node: Node, as_of: dt.datetime) -> None:
    """Write a relation's definition into ``wml.definitions``, if its hash is not there yet.

    Parameters
    ----------
    warehouse : Warehouse
    catalog : Catalog
    reader : Reader
    node : Node
        The relation; its text is kept with the clock as parameters, see ``Catalog.definition_text``.
    as_of : datetime
        The clock, which says whose champion answers in it.
    """
    above = [catalog.nodes[other] for other in catalog.graph.order if other in catalog.graph.above([node.id])]
    upstream = {
        other.name: hash_of(catalog, reader, other, as_of)
        for other in above
        if other.id.kind == "relation" and other.id != node.id
    }
    commit, is_dirty = git_state(catalog.project.root)
    row = {
        "definition_hash": hash_of(catalog, reader, node, as_of),
        "relation": node.name,
        "sql": catalog.definition_text(node).strip() + "\n",
        "upstream": json.dumps(upstream),
        "git_commit": commit,
        "git_is_dirty": is_dirty if commit else None,
        "first_built_at": dt.datetime.now(dt.UTC),
    }
    warehouse.run(statement(__package__, "record_definition.sql", warehouse.engine), row)
