"""Which SQL made a request's features, as it was then."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import dataclass

from warehouse_ml.catalog import Catalog
from warehouse_ml.errors import WmlError
from warehouse_ml.replay.answers import Answer
from warehouse_ml.requests.predict import requests_of
from warehouse_ml.templates import statement
from warehouse_ml.warehouses.base import Warehouse, wml_table

__all__ = ["Provenance", "provenance_of"]


@dataclass(frozen=True)
class Provenance:
    """The definition of the relation that held a request.

    Parameters
    ----------
    relation : str
    definition_hash : str
        Of the relation's text and of all that it reads.
    sql : str
        The relation's own text; the clock stands in it as the parameters ``as_of`` and ``window_start``.
    upstream : mapping of str to str
        The hash of the definition of each relation above it, which ``wml.definitions`` has too.
    git_commit : str or None
        What was checked out when this definition was first built.
    git_is_dirty : bool or None
        Whether files differed from the commit.
    first_built_at : datetime
        On the machine's clock.
    window_start, as_of : datetime or None
        The clock of the build that wrote the request's row; None where that is not known. ``window_start`` is also
        None for a relation that is not incremental.
    is_logged : bool
        Whether the answer itself names the definition; else it is that of the last build before the answer.
    is_current : bool or None
        Whether the file still says the same; None if it cannot be read.
    """

    relation: str
    definition_hash: str
    sql: str
    upstream: Mapping[str, str]
    git_commit: str | None
    git_is_dirty: bool | None
    first_built_at: dt.datetime
    window_start: dt.datetime | None
    as_of: dt.datetime | None
    is_logged: bool
    is_current: bool | None


def provenance_of(warehouse: Warehouse, catalog: Catalog | None, answer: Answer) -> Provenance | None:
    """Return the definition that made the features of an answer, or None if an earlier release kept none.

    Parameters
    ----------
    warehouse : Warehouse
    catalog : Catalog, optional
        The project's files as they are now; without it they are not compared.
    answer : Answer
    """
    if not (warehouse.exists(wml_table("definitions")) and warehouse.exists(wml_table("build_history"))):
        return None
    relation = _relation(catalog, answer.model)
    asked = {
        "definition_hash": answer.definition_hash,
        "requested_at": answer.requested_at,
        "logged_at": answer.logged_at,
        "relation": relation,
    }
    builds = warehouse.fetch(statement(__package__, "build_of.sql", warehouse.engine), asked).to_pylist()
    build = builds[0] if builds else {}
    wanted = answer.definition_hash or build.get("definition_hash")
    rows = warehouse.fetch(
        statement(__package__, "definition.sql", warehouse.engine), {"definition_hash": wanted}
    ).to_pylist()
    if not rows:
        return None
    row = {**rows[0], "upstream": json.loads(rows[0]["upstream"])}
    return Provenance(
        **row,
        window_start=build.get("window_start"),
        as_of=build.get("as_of"),
        is_logged=answer.definition_hash is not None,
        is_current=_is_current(catalog, row["relation"], row["sql"]),
    )


def _relation(catalog: Catalog | None, model: str) -> str | None:
    if catalog is None:
        return None
    try:
        return requests_of(catalog, catalog.node("model", model)).name
    except WmlError:
        # The file may be gone; the answer is still there.
        return None


def _is_current(catalog: Catalog | None, relation: str, sql: str) -> bool | None:
    if catalog is None:
        return None
    try:
        return catalog.definition_text(catalog.node("relation", relation)).strip() == sql.strip()
    except WmlError:
        return False
