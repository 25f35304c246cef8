"""TRANSFORM as rows of tables and back; what is read is checked before any of it becomes a part of a statement."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from warehouse_ml.errors import ArtifactError
from warehouse_ml.scalar_sql import DIALECT, columns_in, parse_scalar
from warehouse_ml.scoring.features import FittedFeature, InputColumn
from warehouse_ml.scoring.parameters import Parameters, TransformOutput

__all__ = ["language_rows", "read_language", "read_transform", "transform_rows"]

Rows = list[dict[str, Any]]

_LANGUAGES = (DIALECT, "bigquery")


def transform_rows(parameters: Parameters) -> tuple[Rows, Rows]:
    """Return the rows of the tables ``transform`` and ``inputs``."""
    outputs = [{"position": index, **dataclasses.asdict(one)} for index, one in enumerate(parameters.transform)]
    for output in outputs:
        # One for all: a table of its own.
        del output["dialect"]
    inputs = [{"position": index, **dataclasses.asdict(one)} for index, one in enumerate(parameters.input_columns)]
    return outputs, inputs


def language_rows(parameters: Parameters) -> dict[str, Rows]:
    """Return the table ``language``, if the expressions are not in DuckDB's SQL."""
    return {} if parameters.dialect == DIALECT else {"language": [{"dialect": parameters.dialect}]}


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
    rows: Rows, inputs: Rows, features: Sequence[FittedFeature], dialect: str
) -> tuple[tuple[TransformOutput, ...], tuple[InputColumn, ...]]:
    """Return the outputs of TRANSFORM and the columns they read.

    Parameters
    ----------
    rows, inputs : list of dict
        The tables ``transform`` and ``inputs``; empty without TRANSFORM.
    features : sequence of FittedFeature
        The model's; with TRANSFORM each has an expression, without none has.
    dialect : str
        In whose SQL all expressions are.

    Raises
    ------
    ArtifactError
        If an expression is more than one row's, or reads a column that is not among the inputs.
    """
    if not rows:
        _require(all(one.expression is None for one in features), "features", "has expressions, but no TRANSFORM")
        return (), ()
    for table, listed in (("transform", rows), ("inputs", inputs)):
        _require([row["position"] for row in listed] == list(range(len(listed))), table, "is out of order")
    outputs = tuple(TransformOutput(**_without_position(row), dialect=dialect) for row in rows)
    columns = tuple(InputColumn(**_without_position(row)) for row in inputs)
    names = {column.name for column in columns}
    for feature in features:
        _require(feature.expression is not None, "features", f'has no expression for "{feature.name}"')
        _check("features", feature.name, str(feature.expression), names, dialect)
    for output in outputs:
        # Label, weight and split are no inputs of predictions.
        _check("transform", output.name, output.frozen, names if output.is_feature else None, dialect)
    return outputs, columns


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
