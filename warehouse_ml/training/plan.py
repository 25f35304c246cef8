"""What a training would do, and why, without training: which file or which rows changed since the last version."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from warehouse_ml.functions import Context
from warehouse_ml.registry import Registry, StoredVersion, Version
from warehouse_ml.scoring.features import kind_of
from warehouse_ml.tables import one_row
from warehouse_ml.templates import environment, statement
from warehouse_ml.training.native import refuse_native_training
from warehouse_ml.training.rows import TRAINING_ROWS, RowSummary, read_training_rows
from warehouse_ml.training.subject import Subject
from warehouse_ml.training.train import same_version
from warehouse_ml.warehouses.base import Warehouse

__all__ = ["FileChange", "RowChange", "TrainingPlan", "changed_files", "compare_rows", "plan_training", "time_column"]


@dataclass(frozen=True)
class FileChange:
    """A file that reads otherwise than when the version was made; ``n_added`` and ``n_removed`` count its lines.

    ``what`` is ``added``, ``removed`` or ``changed``; ``diff`` is the unified diff, line by line.
    """

    place: str
    what: str
    n_added: int
    n_removed: int
    diff: tuple[str, ...] = ()


@dataclass(frozen=True)
class RowChange:
    """How training rows differ from earlier ones.

    Parameters
    ----------
    n_before, n_now : int
    n_added, n_removed : int or None
        Rows that are in one and not in the other, equal ones counted; None where the columns differ.
    time_column : str or None
        What orders the rows in time, if anything does.
    first_before, last_before, first_now, last_now : object
        Its ends.
    """

    n_before: int
    n_now: int
    n_added: int | None
    n_removed: int | None
    time_column: str | None = None
    first_before: Any = None
    last_before: Any = None
    first_now: Any = None
    last_now: Any = None


@dataclass(frozen=True)
class TrainingPlan:
    """What a training would do.

    Parameters
    ----------
    model : str
    same : Version or None
        The version that is there already for the same definition and rows: nothing would be trained.
    number : int or None
        Of the version that would be made.
    reasons : list of str
        Why.
    last : Version or None
        What is compared with.
    files : list of FileChange
    columns_added, columns_removed : list of str
        Of the training query.
    rows : RowChange or None
        None for a first version.
    n_rows : int
    """

    model: str
    same: Version | None
    number: int | None
    reasons: list[str]
    last: Version | None
    files: list[FileChange] = field(default_factory=list)
    columns_added: list[str] = field(default_factory=list)
    columns_removed: list[str] = field(default_factory=list)
    rows: RowChange | None = None
    n_rows: int = 0


def plan_training(context: Context, subject: Subject) -> TrainingPlan:
    """Return what a training would do. The rows are read, as the relations are now; nothing is fitted or written.

    Parameters
    ----------
    context : Context
    subject : Subject
    """
    warehouse, registry, model = context.warehouse, context.registry, subject.definition.name
    refuse_native_training(subject.definition, "a plan")
    rows = read_training_rows(context, subject.definition, subject.max_rows)
    versions = registry.versions(model)
    same = same_version(registry, model, subject.definition_hash, rows.data_hash)
    if same is not None:
        told = f"the same definition was trained on the same {rows.n_rows:,} rows already"
        return TrainingPlan(model, same, None, [told], same, n_rows=rows.n_rows)
    number = max((version.version for version in versions), default=0) + 1
    if not versions:
        return TrainingPlan(model, None, number, ["the first version"], None, n_rows=rows.n_rows)
    last = versions[-1]
    stored = registry.load(last)
    files = changed_files(stored.facts.get("files"), subject.files)
    reasons = []
    if last.definition_hash != subject.definition_hash:
        reasons.append(_definition_changed(files, stored))
    before: Mapping[str, str] = stored.facts.get("columns", {})
    added, removed = _names_beyond(rows.columns, before), _names_beyond(before, rows.columns)
    change = None
    if last.data_hash != rows.data_hash:
        change = _row_change(warehouse, registry, last, before, subject, rows)
        reasons.append(_rows_changed(change, added, removed))
    return TrainingPlan(model, None, number, reasons, last, files, added, removed, change, rows.n_rows)


def changed_files(
    before: Mapping[str, str] | None, now: Mapping[str, str], *, names: tuple[str, str] = ("before", "now")
) -> list[FileChange]:
    """Return the files that changed, each with its diff; none where it was not kept what they said before."""
    changes = []
    for place in sorted({*now, *(before or {})}) if before is not None else ():
        old, new = (before or {}).get(place), now.get(place)
        if old == new:
            continue
        lines = (old or "").splitlines(), (new or "").splitlines()
        diff = tuple(difflib.unified_diff(*lines, f"{place} ({names[0]})", f"{place} ({names[1]})", lineterm=""))
        signs = [line[:1] for line in diff[2:]]
        what = "added" if old is None else "removed" if new is None else "changed"
        changes.append(FileChange(place, what, signs.count("+"), signs.count("-"), diff))
    return changes


def time_column(split_column: str | None, columns: Mapping[str, str]) -> str | None:
    """Return what orders training rows in time: the split column if it is an instant or a day, or the first that is."""
    times = [name for name, type_name in columns.items() if kind_of(type_name) in ("timestamp", "date")]
    return next((name for name in times if name.lower() == (split_column or "").lower()), times[0] if times else None)


def compare_rows(warehouse: Warehouse, before: str, now: str, *, time: str | None) -> RowChange:
    """Compare two sets of training rows.

    Parameters
    ----------
    warehouse : Warehouse
    before, now : str
        What stands in a FROM clause: rows with ``wml_row_hash``.
    time : str, optional
        A column of both.
    """
    columns = [
        list(warehouse.columns(statement(__package__, "all_rows.sql", warehouse.engine, rows=rows)).items())
        for rows in (before, now)
    ]
    # A row's hash is of all its columns, in their order.
    names = {"before": before, "now": now, "time": time, "are_columns_equal": columns[0] == columns[1]}
    row = one_row(warehouse, statement(__package__, "compare_rows.sql", warehouse.engine, **names))
    return RowChange(time_column=time, **row)


def _row_change(
    warehouse: Warehouse,
    registry: Registry,
    last: Version,
    before: Mapping[str, str],
    subject: Subject,
    rows: RowSummary,
) -> RowChange:
    env = environment(warehouse.engine)
    snapshot = warehouse.parquet(registry.snapshot_path(last))
    time = time_column(subject.definition.split.column, rows.columns)
    return compare_rows(
        warehouse,
        env.from_string("{{ read_parquet(path) }}").render(path=snapshot),
        str(env.filters["ident"](TRAINING_ROWS)),
        time=time if time in before else None,
    )


def _names_beyond(names: Mapping[str, str], others: Mapping[str, str]) -> list[str]:
    return [name for name in names if name not in others]


def _definition_changed(files: Sequence[FileChange], stored: StoredVersion) -> str:
    if files:
        return "the definition changed: " + ", ".join(change.place for change in files)
    version = f"{stored.version.model}@{stored.version.version}"
    return f"the definition changed; in which file, {version} does not tell: it is from an earlier release"


def _rows_changed(change: RowChange, added: Sequence[str], removed: Sequence[str]) -> str:
    was = "as before" if change.n_now == change.n_before else f"{change.n_before:,} before"
    told = [f"{change.n_now:,} rows, {was}"]
    if change.n_added is not None:
        told.append(f"{change.n_added:,} new, {change.n_removed:,} gone")
    told += [f"without {name}" for name in removed] + [f"with {name}" for name in added]
    return f"the data changed: {'; '.join(told)}"
