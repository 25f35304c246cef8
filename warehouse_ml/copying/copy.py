"""The toolkit's tables from one warehouse to another: request logs, metrics, the ledger of runs, definitions.

Versions are files, which both warehouses show; relations are built where they are needed. What is copied is what
nothing can make again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pyarrow as pa

from warehouse_ml.copying.digests import digest_of, digests, row_digests
from warehouse_ml.errors import DataError, WarehouseError
from warehouse_ml.functions import install_predictions
from warehouse_ml.registry import Registry
from warehouse_ml.tables import add_columns, all_of, ensure_tables, own_layouts, run_file, spooled
from warehouse_ml.templates import statement
from warehouse_ml.warehouses.base import WML, Relation, Warehouse, wml_table

__all__ = ["Copied", "copy_history"]

_LOG = "request_log_"
_NOT_HISTORY = ("builds", "drift_profiles")
"""Which relations a warehouse has built is true of it alone, and profiles are made where they are needed."""

_FILES = ("file_", "_")


@dataclass(frozen=True)
class Copied:
    """What became of one table.

    Parameters
    ----------
    table : str
    action : str
        ``copied``, ``extended``, ``replaced`` or ``same``.
    n_rows : int
        Rows it holds now, on both sides.
    n_new : int
        Those that were written now.
    digest : str
        Of all its rows, alike on both sides.
    """

    table: str
    action: str
    n_rows: int
    n_new: int
    digest: str


@dataclass
class _Plan:
    """One table and what the target lacks of it."""

    relation: Relation
    rows: pa.Table
    columns: list[str]
    missing: pa.Table
    n_rows: int
    n_extra: int
    n_before: int
    digest: str


def copy_history(
    source: Warehouse,
    target: Warehouse,
    registry: Registry,
    *,
    replace: bool = False,
    is_dry: bool = False,
    on_step: Callable[[str], None] | None = None,
) -> list[Copied]:
    """Copy what the toolkit wrote down in one warehouse to another, all tables together or none.

    Rows that are there already are left alone, so that a second copy writes what came since and nothing else. Before
    it is kept, every table is read again on the target and compared row for row with the source, doubles to the bit.

    Parameters
    ----------
    source, target : Warehouse
    registry : Registry
        The versions, which the target shows afterwards.
    replace : bool
        Take away rows that only the target has.
    is_dry : bool
        Only say what would be written.
    on_step : callable, optional
        Told each table's name.

    Returns
    -------
    list of Copied
        In the order of the tables' names.

    Raises
    ------
    DataError
        If the target has rows of its own, which a copy would mix with the source's.
    WarehouseError
        If what was written is not what was read; nothing is kept then.
    """
    ensure_tables(target)
    there = target.kinds(WML)
    with ExitStack() as spools:
        plans = []
        for relation in _tables(source):
            if on_step:
                on_step(f"reading {relation}")
            plans.append(_plan(spools, source, target, relation, is_there=relation.name.lower() in there))
        own = [plan for plan in plans if plan.n_extra]
        if own and not replace:
            raise DataError(
                f"{target.name} has rows that {source.name} has not: "
                + ", ".join(f"{plan.relation} ({plan.n_extra:,})" for plan in own),
                hint="--replace takes them away; or copy the other way round first",
            )
        if not is_dry:
            _write(target, plans, on_step or (lambda _: None))
            _show(target, registry)
        return [_told(plan) for plan in plans]


def _tables(source: Warehouse) -> list[Relation]:
    names = [name for name, kind in source.kinds(WML).items() if kind == "table"]
    return [wml_table(name) for name in sorted(names) if name not in _NOT_HISTORY and not name.startswith(_FILES)]


def _plan(spools: ExitStack, source: Warehouse, target: Warehouse, relation: Relation, *, is_there: bool) -> _Plan:
    rows = spools.enter_context(spooled(source.stream(all_of(source, relation))))
    columns = {name.lower() for name in rows.column_names}
    known = rows.schema.empty_table()
    if is_there:
        known = spools.enter_context(spooled(target.stream(all_of(target, relation))))
        columns |= {name.lower() for name in known.column_names}
    names = sorted(columns)
    theirs = digests(known, names)
    left = theirs.copy()
    lacking = []
    ours = digests(rows, names)
    for index, digest in enumerate(row_digests(rows, names)):
        if left[digest] > 0:
            left[digest] -= 1
        else:
            lacking.append(index)
    n_extra = sum(max(0, n - ours[digest]) for digest, n in theirs.items())
    missing = rows if n_extra else rows.take(pa.array(lacking, pa.int64()))
    return _Plan(relation, rows, names, missing, rows.num_rows, n_extra, known.num_rows, digest_of(ours))


def _write(target: Warehouse, plans: list[_Plan], on_step: Callable[[str], None]) -> None:
    """Write all that lacks, in one transaction that is kept when it was read again and is the same."""
    scratch = {}
    for number, plan in enumerate(plans):
        if plan.relation.name.startswith(_LOG):
            _make_log(target, plan)
        if plan.missing.num_rows:
            on_step(f"writing {plan.relation}")
            scratch[plan.relation] = Relation(f"_wml_copied_{number}")
            target.load(scratch[plan.relation], plan.missing, temporary=True)
    with target.transaction():
        for plan in plans:
            if plan.n_extra:
                run_file(target, __package__, "delete_rows.sql", relation=plan.relation)
            if plan.relation in scratch:
                names = {
                    "relation": plan.relation,
                    "rows": scratch[plan.relation],
                    "columns": plan.missing.column_names,
                }
                run_file(target, __package__, "insert_rows.sql", **names)
        for plan in plans:
            if plan.relation in scratch or plan.n_extra:
                on_step(f"comparing {plan.relation}")
                _compare(target, plan)


def _compare(target: Warehouse, plan: _Plan) -> None:
    with spooled(target.stream(all_of(target, plan.relation))) as written:
        found = digest_of(digests(written, plan.columns))
        n_rows = written.num_rows
    if found != plan.digest:
        raise WarehouseError(
            f"{plan.relation}: {n_rows:,} rows with the hash {found} came out of {plan.n_rows:,} with {plan.digest}",
            place=target.name,
            hint="nothing was kept; a type of the target may not hold what the source's does",
        )


def _make_log(target: Warehouse, plan: _Plan) -> None:
    """Make a request log with the columns that its rows have."""
    log = plan.relation
    layout = own_layouts(target)["logs"]
    made = statement("warehouse_ml.requests", "create_log.sql", target.engine, log=log, layout=layout)
    target.run(made)
    add_columns(target, log, made)
    known = {name.lower() for name in target.columns(all_of(target, log))}
    new = [name for name in plan.rows.column_names if name.lower() not in known]
    if not new:
        return
    shape = Relation("_wml_copied_shape")
    target.load(shape, plan.rows.schema.empty_table(), temporary=True)
    types = target.columns(all_of(target, shape))
    for name in new:
        names = {"relation": log, "column": name, "column_type": types[name]}
        run_file(target, "warehouse_ml.warehouses", "add_column.sql", **names)


def _show(target: Warehouse, registry: Registry) -> None:
    """Let the views of the target stand on what it has now."""
    logs = [wml_table(name) for name in _logs(target)]
    if logs:
        run_file(target, "warehouse_ml.requests", "shared_log.sql", logs=logs)
    registry.show_in(target)
    install_predictions(target, registry)


def _logs(target: Warehouse) -> Iterator[str]:
    kinds = target.kinds(WML)
    yield from sorted(name for name, kind in kinds.items() if kind == "table" and name.startswith(_LOG))


def _told(plan: _Plan) -> Copied:
    n_new = plan.missing.num_rows
    action = "same" if not n_new and not plan.n_extra else "extended" if plan.n_before else "copied"
    return Copied(plan.relation.name, "replaced" if plan.n_extra else action, plan.n_rows, n_new, plan.digest)
