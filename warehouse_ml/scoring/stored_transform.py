"""TRANSFORM as rows of tables and back; what is read is checked before any of it becomes a part of a statement."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from warehouse_ml.errors import ArtifactError
from warehouse_ml.scalar_sql import DIALECT, Elsewhere, columns_in, parse_scalar
from warehouse_ml.scoring.features import FittedFeature, InputColumn
from warehouse_ml.scoring.parameters import Parameters, TransformOutput

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["MAY_BE_NULL", "fields", "read_language", "read_transform", "transform_rows"]

MAY_BE_NULL = ("expression", "place", "reason", "fix")
"""Columns of the table ``elsewhere``."""

Rows = list[dict[str, Any]]

_LANGUAGES = (DIALECT, "bigquery")


def fields() -> dict[str, list[tuple[str, pa.DataType]]]:
    """Return the columns of each table."""
    import pyarrow as pa

    text, integer, flag = pa.string(), pa.int32(), pa.bool_()
    return {
        "transform": [("position", integer), ("name", text), ("written", text), ("frozen", text), ("is_feature", flag)],
        "inputs": [("position", integer), ("name", text), ("kind", text)],
        "language": [("dialect", text)],
        "elsewhere": [("of", text), ("position", integer), *((name, text) for name in MAY_BE_NULL)],
    }


def transform_rows(parameters: Parameters) -> dict[str, Rows]:
    """Return the rows of the tables that a model with TRANSFORM has."""
    tables: dict[str, Rows] = {"transform": [], "inputs": []}
    for index, output in enumerate(parameters.transform):
        told = {"name": output.name, "written": output.written, "frozen": output.frozen}
        tables["transform"].append({"position": index, **told, "is_feature": output.is_feature})
    for index, column in enumerate(parameters.input_columns):
        tables["inputs"].append({"position": index, "name": column.name, "kind": column.kind})
    if parameters.dialect != DIALECT:
        # One for all: a table of its own.
        tables["language"] = [{"dialect": parameters.dialect}]
    elsewhere = {
        "transform": [output.elsewhere for output in parameters.transform],
        "features": [feature.elsewhere for feature in parameters.features],
    }
    moved = [
        {"of": table, "position": index, **vars(one)}
        for table, listed in elsewhere.items()
        for index, one in enumerate(listed)
        if one is not None
    ]
    return {**tables, "elsewhere": moved} if moved else tables


def read_language(rows: Rows | None) -> str:
    """Return in whose SQL expressions are: as the table says, or without it in DuckDB's.

    Raises
    ------
    ArtifactError
        If it is a language that this release does not know.
    """
    dialect = DIALECT if rows is None else rows[0]["dialect"] if len(rows) == 1 else ""
    _require(dialect in _LANGUAGES, "language", f'is of expressions in "{dialect}", which this release does not read')
    return str(dialect)


def read_transform(
    rows: Rows, inputs: Rows, features: Sequence[FittedFeature], dialect: str, moved: Rows | None = None
) -> tuple[tuple[TransformOutput, ...], tuple[FittedFeature, ...], tuple[InputColumn, ...]]:
    """Return the outputs of TRANSFORM, the features with what they are on the other engine, and the columns they read.

    Parameters
    ----------
    rows, inputs : list of dict
        The tables ``transform`` and ``inputs``; empty without TRANSFORM.
    features : sequence of FittedFeature
        The model's; with TRANSFORM each has an expression, without none has.
    dialect : str
        In whose SQL all expressions are.
    moved : list of dict, optional
        The table ``elsewhere``; versions of earlier releases have none. Its expressions are checked where one is about
        to become a part of a statement, see ``spelled.Written``.

    Raises
    ------
    ArtifactError
        If an expression is more than one row's, or reads a column that is not among the inputs.
    """
    if not rows:
        _require(all(one.expression is None for one in features), "features", "has expressions, but no TRANSFORM")
        return (), tuple(features), ()
    for table, listed in (("transform", rows), ("inputs", inputs)):
        _require([row["position"] for row in listed] == list(range(len(listed))), table, "is out of order")
    elsewhere = _elsewhere(moved or [], {"transform": len(rows), "features": len(features)})
    outputs = tuple(
        TransformOutput(**_without_position(row), dialect=dialect, elsewhere=elsewhere.get(("transform", index)))
        for index, row in enumerate(rows)
    )
    columns = tuple(InputColumn(**_without_position(row)) for row in inputs)
    names = {column.name for column in columns}
    features = tuple(
        dataclasses.replace(feature, elsewhere=elsewhere.get(("features", index)))
        for index, feature in enumerate(features)
    )
    for feature in features:
        _require(feature.expression is not None, "features", f'has no expression for "{feature.name}"')
        _check("features", feature.name, str(feature.expression), names, dialect)
    for output in outputs:
        # Label, weight and split are no inputs of predictions.
        _check("transform", output.name, output.frozen, names if output.is_feature else None, dialect)
    return outputs, features, columns


def _elsewhere(rows: Rows, lengths: dict[str, int]) -> dict[tuple[str, int], Elsewhere]:
    found = {
        (row["of"], row["position"]): Elsewhere(row["expression"], row["place"], row["reason"], row["fix"])
        for row in rows
    }
    are_there = all(0 <= position < lengths.get(table, 0) for table, position in found)
    _require(len(found) == len(rows) and are_there, "elsewhere", "is of expressions that are not there")
    return found


def _without_position(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "position"}


def _check(table: str, name: str, expression: str, columns: set[str] | None, dialect: str) -> None:
    try:
        read = columns_in(parse_scalar(expression, dialect))
    except ValueError as error:
        raise ArtifactError(
            f'the table "{table}" of the parameters has more than an expression of one row for "{name}": it {error}',
            hint="train the model again",
        ) from None
    _require(columns is None or columns.issuperset(read), table, f'reads a column for "{name}" that is no input')


def _require(holds: bool, table: str, what: str) -> None:
    if not holds:
        raise ArtifactError(f'the table "{table}" of the parameters {what}', hint="train the model again")
