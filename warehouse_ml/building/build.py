"""Build relations in order: views, tables and incremental tables, each whole or as it was.

Where the engine defines in transactions, a relation is checked where it stands and the transaction rolled back.
Elsewhere its rows are checked in a scratch table first, one statement defines it, and what was known of it is forgotten
before and written down after: a build that dies in the middle is not written down, and done again.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

from warehouse_ml.building.checks import check_overlap, check_requests, check_window
from warehouse_ml.building.definitions import hash_of, keep_definition
from warehouse_ml.building.layout import check_layout, declared, layout_for, must_be_dropped
from warehouse_ml.building.reading import Query, Reader
from warehouse_ml.catalog import BEGINNING, Catalog, Clock, Node
from warehouse_ml.columns import named_rows
from warehouse_ml.diagnosis import diagnosed
from warehouse_ml.errors import SqlError
from warehouse_ml.tables import all_of, defining, run_file
from warehouse_ml.templates import statement
from warehouse_ml.warehouses.base import LaysOut, Relation, Warehouse
from warehouse_ml.warehouses.layout import Layout

__all__ = ["Built", "Query", "Reader", "build"]

_FRESH = Relation("_wml_fresh_rows")
_HISTORY = ("relation", "materialized", "definition_hash", "window_start", "as_of", "built_at")


@dataclass(frozen=True)
class Built:
    """What became of one relation.

    Parameters
    ----------
    relation : str
    materialized : str
        view, table or incremental.
    action : str
        ``built`` from scratch, ``extended`` by a window, or ``up to date``.
    n_rows : int or None
        Rows it holds now; None for a view.
    seconds : float
    """

    relation: str
    materialized: str
    action: str
    n_rows: int | None
    seconds: float


def build(
    warehouse: Warehouse,
    catalog: Catalog,
    reader: Reader,
    as_of: dt.datetime,
    nodes: Iterable[Node],
    *,
    fresh: bool = False,
    on_step: Callable[[str], None] | None = None,
) -> list[Built]:
    """Bring relations up to date at a clock.

    A table whose text, sources and clock are those of its last build is left alone. An incremental relation goes
    on from where it stopped; it is built whole when its text or a text above it changed, or the clock went back.

    Parameters
    ----------
    warehouse : Warehouse
    catalog : Catalog
    reader : Reader
    as_of : datetime
        The clock.
    nodes : iterable of Node
        Relations, each after those it needs.
    fresh : bool
        Build everything from scratch.
    on_step : callable, optional
        Told each relation's name before it is built.

    Returns
    -------
    list of Built
        In the order given.

    Raises
    ------
    SqlError
        If the warehouse refuses a file's SQL; placed at the file and line.
    DataError
        If the rows break what their kind of relation promises. The relation stays as it was; so do all, if all were
        built before.
    """
    last = {
        row["relation"]: row
        for row in named_rows(warehouse.fetch(statement(__package__, "builds.sql", warehouse.engine)))
    }
    kinds = warehouse.kinds()
    nodes = list(nodes)
    # What was built before is brought up to date all together, in one commit. A first build keeps what it has done.
    is_known = not fresh and all(node.name in last and node.name.lower() in kinds for node in nodes)
    is_known = is_known and warehouse.defines_in_transactions
    results: list[Built] = []
    records: list[dict[str, Any]] = []
    try:
        with warehouse.transaction() if is_known else nullcontext():
            for node in nodes:
                if on_step:
                    on_step(node.name)
                kind = kinds.get(node.name.lower())
                known = None if fresh or kind is None else last.get(node.name)
                results.append(_build_one(warehouse, catalog, reader, as_of, node, kind, known, records))
            if is_known:
                _record(warehouse, records)
    except SqlError as error:
        # Only after the roll-back does the warehouse answer again.
        raise diagnosed(error, warehouse) from None
    finally:
        if not is_known:
            _record(warehouse, records)
    return results


def _build_one(
    warehouse: Warehouse,
    catalog: Catalog,
    reader: Reader,
    as_of: dt.datetime,
    node: Node,
    kind: str | None,
    last: dict[str, Any] | None,
    records: list[dict[str, Any]],
) -> Built:
    began = time.perf_counter()
    relation = Relation(node.name)
    state = _state_of(catalog, reader, node, as_of)
    materialized = str(state["materialized"])
    is_new = last is None or last["definition_hash"] != state["definition_hash"] or not last["is_defined"]
    is_up_to_date = last is not None and _is_up_to_date(catalog, node, last, state, as_of)
    start = None if is_up_to_date else _goes_on_from(last, state, as_of)
    if is_up_to_date or start is not None:
        check_layout(warehouse, node, all_of(warehouse, relation))
    if last and is_up_to_date:
        if is_new:
            # It was built before definitions were kept.
            keep_definition(warehouse, catalog, reader, node, as_of)
        return Built(node.name, materialized, "up to date", last["n_rows"], 0.0)
    with defining(warehouse):
        if start is not None:
            _extend(warehouse, reader, node, Clock(as_of, start))
        elif warehouse.defines_in_transactions:
            _create(warehouse, reader, node, Clock(as_of), kind)
        else:
            _create_checked(warehouse, reader, node, Clock(as_of), kind)
        n_rows = None if materialized == "view" else _count(warehouse, relation, node)
        if is_new:
            keep_definition(warehouse, catalog, reader, node, as_of)
    seconds = time.perf_counter() - began
    records.append(
        {
            "relation": node.name,
            **state,
            "window_start": start or (BEGINNING if materialized == "incremental" else None),
            "as_of": as_of,
            "n_rows": n_rows,
            "duration_seconds": seconds,
            "built_at": dt.datetime.now(dt.UTC),
        }
    )
    return Built(node.name, materialized, "built" if start is None else "extended", n_rows, seconds)


def _state_of(catalog: Catalog, reader: Reader, node: Node, as_of: dt.datetime) -> dict[str, Any]:
    return {
        "materialized": str(node.config.get("materialized", "view")),
        "definition_hash": hash_of(catalog, reader, node, as_of),
        "inputs_hash": catalog.inputs_hash(node),
    }


def _record(warehouse: Warehouse, records: list[dict[str, Any]]) -> None:
    """Write down what was built; a build that is not written down is done again, which changes nothing."""
    if not records:
        return
    columns = [{"name": name, "params": [f"{name}_{index}" for index in range(len(records))]} for name in records[0]]
    parameters = {f"{name}_{index}": value for index, row in enumerate(records) for name, value in row.items()}
    kept = [column for column in columns if column["name"] in _HISTORY]
    names = {"columns": columns, "kept": kept, "n_records": len(records)}
    with warehouse.transaction():
        run_file(warehouse, __package__, "record_build.sql", parameters, **names)


def _is_up_to_date(
    catalog: Catalog, node: Node, last: dict[str, Any], state: dict[str, Any], as_of: dt.datetime
) -> bool:
    if any(last[key] != value for key, value in state.items()):
        return False
    same_clock = last["as_of"] == as_of or not catalog.depends_on_clock(node)
    # A view holds no rows, so what its sources hold does not matter to it.
    return same_clock and (state["materialized"] == "view" or state["inputs_hash"] is not None)


def _goes_on_from(last: dict[str, Any] | None, state: dict[str, Any], as_of: dt.datetime) -> dt.datetime | None:
    if last is None or not last["materialized"] == state["materialized"] == "incremental":
        return None
    if last["definition_hash"] != state["definition_hash"]:
        return None
    stopped_at: dt.datetime = last["as_of"]
    if stopped_at == as_of and state["inputs_hash"] is None and last["window_start"] != BEGINNING:
        # A source that is a table may have changed unseen: what the last build read is read again, no years before.
        began_at: dt.datetime = last["window_start"]
        return began_at
    return stopped_at if stopped_at < as_of else None


def _create(warehouse: Warehouse, reader: Reader, node: Node, clock: Clock, kind: str | None) -> None:
    relation, wanted = Relation(node.name), _kind_of(node)
    _drop_other(warehouse, relation, kind, wanted)
    _run_query(warehouse, reader, node, clock, wanted, relation)
    check_layout(warehouse, node, all_of(warehouse, relation))
    _check(warehouse, relation, node, clock)


def _create_checked(warehouse: Warehouse, reader: Reader, node: Node, clock: Clock, kind: str | None) -> None:
    """Define a relation by one statement, its rows checked before."""
    relation, wanted = Relation(node.name), _kind_of(node)
    is_checked = node.file.kind == "request" or node.config.get("materialized") == "incremental"
    made: Relation | None = None
    if is_checked:
        _run_query(warehouse, reader, node, clock, "temp table", _FRESH)
        _check(warehouse, _FRESH, node, clock)
        made = _FRESH if wanted == "table" else None
    elif kind is not None and kind != wanted:
        # What the warehouse does not understand must not cost what is there.
        query = reader.query(node, clock, is_view=wanted == "view")
        try:
            warehouse.columns(query.sql)
        except SqlError as error:
            raise query.placed(error) from None
    layout = None
    if declared(node) is not None:
        layout = layout_for(warehouse, node, all_of(warehouse, made) if made else reader.query(node, clock).sql)
    is_dropped = kind == wanted == "table" and must_be_dropped(warehouse, relation, layout)
    if is_dropped:
        # Nothing that is there is taken away before rows that lie as they are to lie are made.
        laid, bare = Relation(f"_wml_laid_{node.name}"), layout.without_options() if layout else None
        if made:
            _copy(warehouse, made, "temp table", laid, bare)
        else:
            _run_query(warehouse, reader, node, clock, "temp table", laid, bare)
        made = laid
    if kind is not None:
        warehouse.run(statement(__package__, "forget_build.sql", warehouse.engine), {"relation": node.name})
    if is_dropped:
        warehouse.run(statement(__package__, "drop_relation.sql", warehouse.engine, kind=kind, relation=relation))
    _drop_other(warehouse, relation, kind, wanted)
    if made:
        _copy(warehouse, made, wanted, relation, layout)
    else:
        _run_query(warehouse, reader, node, clock, wanted, relation, layout)


def _kind_of(node: Node) -> str:
    return "view" if node.config.get("materialized", "view") == "view" else "table"


def _drop_other(warehouse: Warehouse, relation: Relation, kind: str | None, wanted: str) -> None:
    if kind is not None and kind != wanted:
        warehouse.run(statement(__package__, "drop_relation.sql", warehouse.engine, kind=kind, relation=relation))


def _check(warehouse: Warehouse, relation: Relation, node: Node, clock: Clock) -> None:
    if node.config.get("materialized") == "incremental":
        check_window(warehouse, relation, node, clock)
    if node.file.kind == "request":
        check_requests(warehouse, relation, node.place)


def _extend(warehouse: Warehouse, reader: Reader, node: Node, clock: Clock) -> None:
    relation = Relation(node.name)
    _run_query(warehouse, reader, node, clock, "temp table", _FRESH)
    check_window(warehouse, _FRESH, node, clock)
    if node.file.kind == "request":
        check_requests(warehouse, _FRESH, node.place)
        check_overlap(warehouse, relation, _FRESH, node, clock)
    columns = list(warehouse.columns(all_of(warehouse, _FRESH)))
    with warehouse.transaction():
        run_file(
            warehouse,
            __package__,
            "replace_window.sql",
            {"window_start": clock.window_start},
            relation=relation,
            fresh=_FRESH,
            event_time=str(node.config["event_time"]),
            columns=columns,
        )


def _run_query(
    warehouse: Warehouse,
    reader: Reader,
    node: Node,
    clock: Clock,
    kind: str,
    relation: Relation,
    layout: Layout | None = None,
) -> None:
    query = reader.query(node, clock, is_view=kind == "view")
    names = {"kind": kind, "relation": relation, "query": query.sql, "layout": layout}
    sql = statement(__package__, "create_relation.sql", warehouse.engine, **names)
    try:
        warehouse.run(sql)
    except SqlError as error:
        raise query.placed(error) from None


def _copy(warehouse: Warehouse, rows: Relation, kind: str, relation: Relation, layout: Layout | None) -> None:
    names = {"kind": kind, "relation": relation, "query": all_of(warehouse, rows), "layout": layout}
    warehouse.run(statement(__package__, "create_relation.sql", warehouse.engine, **names))


def _count(warehouse: Warehouse, relation: Relation, node: Node) -> int:
    layout = declared(node) if isinstance(warehouse, LaysOut) else None
    names = {"relation": relation, "filter_on": layout.field if layout and layout.requires_filter else None}
    rows = warehouse.fetch(statement(__package__, "count_rows.sql", warehouse.engine, **names))
    return int(rows["n_rows"][0].as_py())
