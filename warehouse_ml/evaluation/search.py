"""The worst slices, found: every value of the searched columns, and every pair of values, against all other rows."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from warehouse_ml.errors import DefinitionError, did_you_mean
from warehouse_ml.evaluation.join import JoinColumns, is_number
from warehouse_ml.evaluation.spec import EvaluationSpec
from warehouse_ml.templates import statement
from warehouse_ml.warehouses.base import Relation, Warehouse

__all__ = ["MOST_COLUMNS", "MOST_VALUES", "search_slices"]

MOST_COLUMNS = 24
"""Columns of a search, at the most: 24 and their 276 pairs are 300 ways to cut the rows."""

MOST_VALUES = 1000
"""A text column of more values is left out of a search."""

_MOST_KEPT = 100
_FEW_VALUES = 12
_METRICS = {
    "binary": ["log_loss", "error_rate"],
    "regression": ["mean_absolute_error", "mean_squared_error"],
    "multiclass": ["error_rate"],
}
_KEYS = "wml_search_keys"
_SCRATCH = ("wml_search_asked", "wml_search_edges", "wml_search_values", "wml_search_coded", "wml_search_cells", _KEYS)
_OWN = ("request_id", "requested_at", "score", "prediction", "label", "label_known_at", "model_version")


def search_slices(
    warehouse: Warehouse,
    spec: EvaluationSpec,
    joined: JoinColumns,
    join_sql: str,
    as_of: dt.datetime,
) -> list[str]:
    """Search the windows that are being evaluated, and write the slices that do worse than the rest.

    Parameters
    ----------
    warehouse : Warehouse
        With the rows of the due windows, as ``evaluate`` makes them.
    spec : EvaluationSpec
        ``search`` names the columns; without it they are those of the slices.
    joined : JoinColumns
    join_sql : str
        The query of the evaluation file.
    as_of : datetime

    Returns
    -------
    list of str
        What was left out, and why: columns with too many values, or with one.

    Raises
    ------
    DefinitionError
        If a column is not in the join, is one that the evaluation itself reads, or there are too many.
    """
    columns = _columns(spec, warehouse.columns(join_sql))
    told: list[str] = []
    if not columns:
        return [f"{spec.name}: nothing to search; name slices, or columns: search=['origin', 'distance_miles']"]
    has_decision = joined.has_score or spec.task != "binary"
    metrics = _METRICS[spec.task] if has_decision else ["error_rate"]
    names: dict[str, Any] = {
        "task": spec.task if has_decision else "multiclass",
        "columns": columns,
        "metrics": metrics,
        "has_version": joined.has_version,
        "most_kept": _MOST_KEPT,
    }
    _run(warehouse, "search_asked.sql", {**names, "join_sql": join_sql})
    (counts,) = warehouse.fetch(statement(__package__, "search_counts.sql", warehouse.engine, **names)).to_pylist()
    kept = []
    for column in columns:
        n_values = counts[column["name"]] or 0
        column["is_quartered"] = column["is_numeric"] and n_values > _FEW_VALUES
        if n_values < 2:
            told.append(f'{spec.name}: not searched: "{column["column"]}" has the same value in every row')
        elif n_values > MOST_VALUES and not column["is_numeric"]:
            told.append(
                f'{spec.name}: not searched: "{column["column"]}" has {n_values:,} values, more than {MOST_VALUES:,}'
            )
        else:
            kept.append(column)
    if kept:
        slices = [[column] for column in kept] + [list(pair) for pair in itertools.combinations(kept, 2)]
        warehouse.load(Relation(_KEYS), _keys(kept, slices), temporary=True)
        names["columns"] = kept
        names["names"] = [column["name"] for column in kept]
        names["slices"] = [{"names": [column["name"] for column in slice_]} for slice_ in slices]
        _run(warehouse, "search_edges.sql", names)
        if not all(column["is_quartered"] for column in kept):
            _run(warehouse, "search_values.sql", names)
        _run(warehouse, "search_coded.sql", names)
        _run(warehouse, "search_cells.sql", names)
        parameters = {"as_of": as_of, "evaluation": spec.name, "model": spec.model}
        _run(warehouse, "write_search.sql", names, {**parameters, "min_slice_size": spec.min_slice_size})
    warehouse.drop_temporary(_SCRATCH)
    return told


def _columns(spec: EvaluationSpec, types: Mapping[str, str]) -> list[dict[str, Any]]:
    chosen = list(spec.search) or spec.slice_columns
    for name in chosen:
        if name not in types or name in _OWN:
            raise DefinitionError(
                f'no column "{name}" to search'
                if name not in types
                else f'search names "{name}", which says what was asked or answered',
                place=spec.place,
                has=[column for column in types if column not in _OWN],
                hint=did_you_mean(name, [column for column in types if column not in _OWN]),
            )
    if len(chosen) > MOST_COLUMNS:
        raise DefinitionError(
            f"{len(chosen)} columns to search, more than {MOST_COLUMNS}",
            place=spec.place,
            hint="name those that matter: search=[...]",
        )
    return [
        {"column": name, "index": index, "name": f"searched_{index}", "is_numeric": is_number(types[name])}
        for index, name in enumerate(chosen)
    ]


def _keys(columns: Sequence[Mapping[str, Any]], slices: Sequence[Sequence[Mapping[str, Any]]]) -> Any:
    """Return what each grouping is called, by the bits of the columns that it does not group by."""
    import pyarrow as pa

    bits = {column["name"]: 1 << (len(columns) - 1 - index) for index, column in enumerate(columns)}
    everything = sum(bits.values())
    rows: list[dict[str, Any]] = [{"mask": everything, "slice_key": "overall", "n_columns": 0, "position": 0}]
    rows += [
        {
            "mask": everything - sum(bits[column["name"]] for column in slice_),
            "slice_key": ", ".join(column["column"] for column in slice_),
            "n_columns": len(slice_),
            "position": position,
            **{f"{which}_input": column["index"] for which, column in zip(("first", "second"), slice_, strict=False)},
        }
        for position, slice_ in enumerate(slices, start=1)
    ]
    whole = ("mask", "n_columns", "position", "first_input", "second_input")
    schema = pa.schema([*((name, pa.int64()) for name in whole), ("slice_key", pa.string())])
    return pa.Table.from_pylist(rows, schema=schema)


def _run(
    warehouse: Warehouse, file: str, names: Mapping[str, Any], parameters: Mapping[str, Any] | None = None
) -> None:
    warehouse.run(statement(__package__, file, warehouse.engine, **names), parameters)
