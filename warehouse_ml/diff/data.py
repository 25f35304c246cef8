"""What two versions were trained on: rows, time, labels, and how far each column is from what it was."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from warehouse_ml.evaluation import DriftInput, EvaluationSpec, JoinColumns, write_drift
from warehouse_ml.registry import Registry, StoredVersion
from warehouse_ml.scoring import FittedFeature, importances
from warehouse_ml.scoring.features import cleaned, kind_of
from warehouse_ml.tables import one_row, undone
from warehouse_ml.templates import environment, statement
from warehouse_ml.training.plan import RowChange, compare_rows, time_column
from warehouse_ml.warehouses.base import Relation, Warehouse

__all__ = ["column_distances", "label_means", "row_change"]

_NAME = "(training rows)"
_AFTER_ALL = dt.datetime(9999, 1, 1, tzinfo=dt.UTC)
_NOTHING = JoinColumns(
    has_score=False,
    has_prediction=False,
    has_label_known_at=False,
    has_version=False,
    has_weight=False,
    is_boolean_prediction=False,
    is_boolean_label=False,
)


def row_change(warehouse: Warehouse, registry: Registry, before: StoredVersion, now: StoredVersion) -> RowChange:
    """Return how the training rows of two versions differ, held-out ones included."""
    env = environment(warehouse.engine)
    read = [
        env.from_string("{{ read_parquet(path) }}").render(
            path=warehouse.parquet(registry.snapshot_path(version.version))
        )
        for version in (before, now)
    ]
    columns: Mapping[str, str] = now.facts.get("columns", {})
    time = time_column(now.facts.get("split", {}).get("column"), columns)
    return compare_rows(warehouse, *read, time=time if time in before.facts.get("columns", {}) else None)


def label_means(warehouse: Warehouse, registry: Registry, versions: tuple[StoredVersion, StoredVersion]) -> list[Any]:
    """Return the share of the positive class, or the mean label, of each version's rows; None where there is none."""
    found: list[Any] = []
    for stored in versions:
        parameters = stored.parameters
        if parameters.task not in ("binary", "regression"):
            found.append(None)
            continue
        sql = statement(
            __package__,
            "label_share.sql",
            warehouse.engine,
            label=parameters.label,
            positive=parameters.classes[-1] if parameters.task == "binary" else None,
            path=warehouse.parquet(registry.snapshot_path(stored.version)),
        )
        found.append(one_row(warehouse, sql)["label_mean"])
    return found


def column_distances(
    warehouse: Warehouse, registry: Registry, before: StoredVersion, now: StoredVersion
) -> list[dict[str, Any]]:
    """Return how far each column that both were trained on is from what it was: the distances of ``wml.drift``.

    Parameters
    ----------
    warehouse : Warehouse
        Outside of a transaction; nothing is kept in it.
    registry : Registry
    before, now : StoredVersion
        The first is the reference, whose tenths the numbers are cut at.

    Returns
    -------
    list of dict
        By column, the farthest by ``psi`` first: column, kind, importance (of the later version, None if unknown), a
        key for each metric, and ``is_anomaly`` if any of them is above its usual threshold.
    """
    kinds = _compared(before, now)
    if not kinds:
        return []
    engine = warehouse.engine
    names = {f"column_{index}": name for index, name in enumerate(kinds)}
    drift = DriftInput(
        version=1,
        reference_sql=_rows(warehouse.parquet(registry.snapshot_path(before.version)), names, kinds, engine),
        current_sql=_rows(
            warehouse.parquet(registry.snapshot_path(now.version)),
            names,
            kinds,
            engine,
            at=dt.datetime(2000, 1, 1, tzinfo=dt.UTC),
        ),
        columns={
            column: "categorical" if kinds[name] in ("category", "boolean") else "numeric"
            for column, name in names.items()
        },
    )
    spec = EvaluationSpec.from_config(_NAME, {}, place=now.version.model, definition_hash="")
    due = [{"unit": 1, "version": 1, "window_start": None, "n_requests": now.version.n_rows}]
    with undone(warehouse):
        warehouse.run(statement(__package__, "distance_unit.sql", engine, name=_NAME))
        write_drift(warehouse, spec, [drift], due, _AFTER_ALL, _NOTHING)
        found = warehouse.fetch(statement(__package__, "distances.sql", engine), {"name": _NAME}).to_pylist()
    share = importances(now.parameters)
    rows: dict[str, dict[str, Any]] = {}
    for row in found:
        name = names[row["input"]]
        told = rows.setdefault(
            name, {"column": name, "kind": kinds[name], "importance": share.get(name), "is_anomaly": False}
        )
        told[row["metric"]] = row["value"]
        told["is_anomaly"] = told["is_anomaly"] or bool(row["is_anomaly"])
    return sorted(rows.values(), key=lambda row: (-(row.get("psi") or 0.0), row["column"]))


def _compared(before: StoredVersion, now: StoredVersion) -> dict[str, str]:
    """Return the columns of both that are of one kind, by name; what cuts the rows in time is no such column."""
    old, new = (version.facts.get("columns", {}) for version in (before, now))
    split = str(now.facts.get("split", {}).get("column") or "").lower()
    found = {}
    for name in new:
        kind = kind_of(new[name])
        if kind and name in old and kind_of(old[name]) == kind and name.lower() != split:
            found[name] = str(kind)
    return found


def _rows(
    path: str | Relation, names: Mapping[str, str], kinds: Mapping[str, Any], engine: str, at: dt.datetime | None = None
) -> str:
    values = {
        column: cleaned(FittedFeature(name, kinds[name], "double"), None).sql(dialect=engine)
        for column, name in names.items()
    }
    return statement(__package__, "snapshot_columns.sql", engine, columns=values, path=path, at=at)
