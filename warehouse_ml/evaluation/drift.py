"""Drift: how far the inputs of a window are from those that the version was trained on."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from warehouse_ml.errors import DefinitionError, did_you_mean
from warehouse_ml.evaluation.spec import EvaluationSpec
from warehouse_ml.templates import statement
from warehouse_ml.warehouses.base import Relation, Warehouse

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["DriftInput", "write_drift"]

_KINDS = ("numeric", "categorical")
_EDGES = "wml_drift_edges"
_REFERENCE = "wml_drift_reference"
_CURRENT = "wml_drift_current"
_MAX_PROFILES = 64

# Bin edges and counts of reference rows that a hash names, so that a year replayed week by week reads each version's
# training rows once. The hash and the columns say everything about them.
_profiles: dict[tuple[Any, ...], tuple[pa.Table | None, pa.Table]] = {}


@dataclass(frozen=True)
class DriftInput:
    """What one version was trained on, and what it is asked now.

    Parameters
    ----------
    version : int or None
        Whose windows the current rows belong to.
    reference_sql : str
        The training rows.
    current_sql : str
        The logged rows of this version: ``requested_at`` and the same inputs.
    columns : mapping of str to {'numeric', 'categorical'}
        The inputs to compare.
    reference_hash : str, optional
        Names the content of the reference rows; with it their profile is kept for the next evaluation in this process.
    """

    version: int | None
    reference_sql: str
    current_sql: str
    columns: Mapping[str, str]
    reference_hash: str | None = None


def write_drift(
    warehouse: Warehouse,
    spec: EvaluationSpec,
    inputs: Sequence[DriftInput],
    versions: Collection[int | None],
    as_of: dt.datetime,
) -> None:
    """Write the drift of every input in every due window, a few statements for each version.

    Raises
    ------
    DefinitionError
        If a column is said to be neither numeric nor categorical.
    """
    wanted = [drift for drift in inputs if drift.version in versions and drift.columns]
    previous: tuple[Any, ...] | None = None
    for drift in sorted(wanted, key=lambda drift: (drift.reference_sql, drift.version or 0)):
        for name, kind in drift.columns.items():
            if kind not in _KINDS:
                raise DefinitionError(
                    f'the kind of the input "{name}" is {kind!r}',
                    place=spec.place,
                    has=_KINDS,
                    hint=did_you_mean(str(kind), _KINDS),
                )
        columns = [
            {"index": index, "name": name, "kind": kind, "column": f"input_{index}"}
            for index, (name, kind) in enumerate(drift.columns.items())
        ]
        numeric = [column for column in columns if column["kind"] == "numeric"]
        names: dict[str, Any] = {"columns": columns, "numeric": numeric, "window": spec.window}
        key = (drift.reference_sql, tuple(drift.columns.items()))
        if key != previous:
            _profile(warehouse, drift, names)
            previous = key
        written = {"as_of": as_of, "version": drift.version}
        _run(
            warehouse,
            "drift_counts.sql",
            {**names, "table": _CURRENT, "rows_sql": _bare(drift.current_sql), "is_reference": False},
            written,
        )
        _run(warehouse, "write_drift.sql", names, {"as_of": as_of, "evaluation": spec.name, "model": spec.model})
    if wanted:
        _drop(warehouse, _EDGES, _REFERENCE, _CURRENT)


def _profile(warehouse: Warehouse, drift: DriftInput, names: Mapping[str, Any]) -> None:
    """Bring the bin edges and the counts of the reference into the warehouse, computed or from before."""
    _drop(warehouse, _EDGES, _REFERENCE)
    key = (warehouse.engine, drift.reference_hash, tuple(drift.columns.items()))
    kept = _profiles.get(key) if drift.reference_hash else None
    if kept is not None:
        edges, counts = kept
        if edges is not None:
            warehouse.load(Relation(_EDGES), edges, temporary=True)
        warehouse.load(Relation(_REFERENCE), counts, temporary=True)
        return
    source = {**names, "rows_sql": _bare(drift.reference_sql)}
    if names["numeric"]:
        _run(warehouse, "drift_edges.sql", source, {})
    _run(warehouse, "drift_counts.sql", {**source, "table": _REFERENCE, "is_reference": True}, {})
    if drift.reference_hash:
        if len(_profiles) >= _MAX_PROFILES:
            _profiles.pop(next(iter(_profiles)))
        edges = _fetch(warehouse, _EDGES) if names["numeric"] else None
        _profiles[key] = (edges, _fetch(warehouse, _REFERENCE))


def _run(warehouse: Warehouse, file: str, names: Mapping[str, Any], parameters: Mapping[str, Any]) -> None:
    warehouse.run(statement(__package__, file, warehouse.engine, **names), parameters or None)


def _fetch(warehouse: Warehouse, table: str) -> pa.Table:
    return warehouse.fetch(statement(__package__, "drift_kept.sql", warehouse.engine, table=table))


def _drop(warehouse: Warehouse, *tables: str) -> None:
    for table in tables:
        warehouse.run(statement(__package__, "drop_scratch.sql", warehouse.engine, table=table))


def _bare(sql: str) -> str:
    return sql.strip().rstrip(";")
