"""From a column of the warehouse to the number that a model multiplies or compares.

The only implementation of the automatic preprocessing: training reads its matrix through these expressions, and every
prediction contains them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from sqlglot import exp

from warehouse_ml.errors import DataError, did_you_mean
from warehouse_ml.scalar_sql import DIALECT, Elsewhere, parse_scalar, qualified
from warehouse_ml.scoring import nodes
from warehouse_ml.scoring.spelled import Quotient, Spelled, Written

__all__ = [
    "Encoding",
    "FittedFeature",
    "InputColumn",
    "Kind",
    "check_columns",
    "cleaned",
    "encode_select",
    "encoded",
    "encoded_name",
    "input_kind",
    "kind_of",
    "value_of",
]

Kind = Literal["number", "boolean", "category", "date", "timestamp"]
Encoding = Literal["standard", "one_hot", "label", "double", "imputed"]

KINDS: tuple[str, ...] = get_args(Kind)
ENCODINGS: tuple[str, ...] = get_args(Encoding)

_KINDS: dict[str, Kind] = {
    **dict.fromkeys(("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT"), "number"),
    **dict.fromkeys(("UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT"), "number"),
    **dict.fromkeys(("FLOAT", "DOUBLE", "DECIMAL"), "number"),
    "BOOLEAN": "boolean",
    **dict.fromkeys(("VARCHAR", "ENUM"), "category"),
    "DATE": "date",
    **dict.fromkeys(("TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS"), "timestamp"),
    "TIMESTAMP WITH TIME ZONE": "timestamp",
    # As BigQuery calls them, where that differs.
    **dict.fromkeys(("INT64", "FLOAT64", "NUMERIC", "BIGNUMERIC"), "number"),
    "BOOL": "boolean",
    "STRING": "category",
    "DATETIME": "timestamp",
}


@dataclass(frozen=True)
class FittedFeature:
    """A column, and how it becomes a number.

    Parameters
    ----------
    name : str
        The column in the relation; with an expression, what the feature is called.
    kind : str
        ``number``, ``boolean`` (0 or 1), ``category`` (text), ``date`` (days since 1970-01-01) or ``timestamp``
        (seconds since 1970-01-01 00:00 UTC, exact to the microsecond).
    encoding : str
        ``standard``: (x - mean) / stddev with NULL as the mean, and 0 where stddev is 0; ``double``: x, with NULL as
        missing; ``imputed``: x, with NULL as the mean; ``label``: 1..k in the order of ``categories``, 0 for NULL and
        unknown; ``one_hot``: 1..k, k + 1 for NULL if training saw one, 0 for unknown, each code standing for a column
        of its own.
    mean, stddev : float
        Of the training rows, population standard deviation; used by ``standard``, the mean by ``imputed`` too.
    categories : tuple of str
        Ascending by code point; used by ``label`` and ``one_hot``.
    has_null : bool
        Whether NULL is a category of its own; used by ``one_hot``.
    reference : int
        The code without a column (dummy encoding), 0 if all have one; used by ``one_hot``.
    expression : str, optional
        What stands in the column's place: an expression of the relation's columns, frozen by TRANSFORM.
    dialect : str
        In whose SQL the expression is.
    elsewhere : Elsewhere, optional
        The expression as the other engine has it.
    """

    name: str
    kind: Kind
    encoding: Encoding
    mean: float = 0.0
    stddev: float = 0.0
    categories: tuple[str, ...] = ()
    has_null: bool = False
    reference: int = 0
    expression: str | None = None
    dialect: str = DIALECT
    elsewhere: Elsewhere | None = None

    @property
    def n_slots(self) -> int:
        """How many weights a linear model keeps for the feature."""
        return len(self.categories) + self.has_null if self.encoding == "one_hot" else 1


@dataclass(frozen=True)
class InputColumn:
    """A column that predictions read.

    Parameters
    ----------
    name : str
        The column in the relation.
    kind : str
        A ``Kind``, with ``[]`` behind it for a list of such values; another type is called as the warehouse does.
    """

    name: str
    kind: str


def kind_of(type_name: str) -> Kind | None:
    """Return what a type of DuckDB's or BigQuery's means as a feature, or None if it means nothing."""
    if type_name.endswith(("]", ">")):
        return None
    return _KINDS.get(re.sub(r"\(.*\)$", "", type_name, flags=re.DOTALL).strip().upper())


def input_kind(type_name: str) -> str:
    """Return what a type of DuckDB's or BigQuery's means as an input of TRANSFORM."""
    if type_name.startswith("ARRAY<"):
        return f"{input_kind(type_name.removeprefix('ARRAY<').removesuffix('>'))}[]"
    element, opening, _ = type_name.rpartition("[")
    if opening and type_name.endswith("]"):
        return f"{input_kind(element)}[]"
    return kind_of(type_name) or type_name.upper()


def value_of(feature: FittedFeature, table: str | None = nodes.INPUT) -> exp.Expr:
    """Return the column, or the expression that stands in its place, as it is."""
    if feature.expression is None:
        return nodes.column(feature.name, table)
    tree = qualified(parse_scalar(feature.expression, feature.dialect), table)
    written = Written(this=tree, dialect=feature.dialect, elsewhere=feature.elsewhere, table=table)
    return exp.Paren(this=written)


def cleaned(feature: FittedFeature, table: str | None = nodes.INPUT) -> exp.Expr:
    """Return the column as a double or a text, with NULL for what is missing.

    NaN and infinities are missing: they have no mean, no order among each other that engines agree on, and
    scikit-learn's forests refuse them.
    """
    column = value_of(feature, table)
    match feature.kind:
        case "category":
            return exp.cast(column, exp.DataType.Type.TEXT)
        case "boolean":
            return nodes.case([(column, nodes.number(1.0)), (exp.Not(this=column.copy()), nodes.number(0.0))])
        case "date":
            return nodes.double(exp.UnixDate(this=column))
        case "timestamp":
            # A DATETIME of BigQuery is no instant before it is said to be in UTC.
            instant = exp.cast(column.copy(), exp.DataType.Type.TIMESTAMPTZ)
            micros = nodes.double(Spelled(this=exp.UnixMicros(this=column), bigquery=exp.UnixMicros(this=instant)))
            return exp.Div(this=micros, expression=nodes.number(1e6))
        case "number":
            value = nodes.double(column)
            # False for NaN as well, which DuckDB takes for larger than everything.
            is_finite = exp.LTE(this=exp.Abs(this=value), expression=nodes.number(nodes.LARGEST))
            return nodes.case([(is_finite, value.copy())])


def encoded(feature: FittedFeature, value: exp.Expr) -> exp.Expr:
    """Return the number that stands for the cleaned value."""
    match feature.encoding:
        case "double":
            return value
        case "standard":
            if feature.stddev == 0:
                return nodes.number(0.0)
            mean = nodes.number(feature.mean)
            centred = exp.Sub(this=_filled(feature, value, mean), expression=mean.copy())
            return Quotient(this=exp.Paren(this=centred), expression=nodes.number(feature.stddev))
        case "imputed":
            return exp.Coalesce(this=value, expressions=[nodes.number(feature.mean)])
        case "label" | "one_hot":
            codes = [float(code + 1) for code in range(len(feature.categories))]
            null_code = float(len(codes) + 1) if feature.has_null else 0.0
            return with_null(value, nodes.lookup(value, feature.categories, codes, 0.0), null_code)


def _filled(feature: FittedFeature, value: exp.Expr, otherwise: exp.Expr) -> exp.Expr:
    """Return the cleaned value, or something else where it is missing.

    The CASE that cleans a number or boolean gets an ELSE, which costs nothing; COALESCE would ask each row once more.
    """
    is_case = feature.kind in ("number", "boolean") and isinstance(value, exp.Case)
    if not is_case or value.args.get("default") is not None:
        return exp.Coalesce(this=value, expressions=[otherwise])
    result = value.copy()
    result.set("default", otherwise)
    return result


def with_null(value: exp.Expr, otherwise: exp.Expr, null_value: float) -> exp.Expr:
    """Return ``otherwise``, but another number where the value is NULL; 0 is what a lookup gives anyhow."""
    if null_value == 0:
        return otherwise
    is_null = exp.Is(this=value.copy(), expression=exp.Null())
    return nodes.case([(is_null, nodes.number(null_value))], otherwise)


def encoded_name(index: int) -> str:
    """Return what an encoded feature is called inside a query."""
    return f"wml_x{index}"


def encode_select(features: Sequence[FittedFeature], source: exp.Expr, keep: Sequence[str] = ()) -> exp.Select:
    """Return the query of the encoded matrix.

    Parameters
    ----------
    features : sequence of FittedFeature
        The p columns of the matrix, in order.
    source : exp.Expr
        A table or a query with the features' columns.
    keep : sequence of str
        Columns that pass through, before the features.

    Returns
    -------
    exp.Select
        The kept columns, then ``wml_x0`` ... ``wml_x{p-1}``, doubles; NULL only where the encoding is ``double``.
    """
    projections = nodes.kept(keep, nodes.INPUT)
    for index, feature in enumerate(features):
        projections.append(nodes.projection(encoded(feature, cleaned(feature)), encoded_name(index)))
    return nodes.select_from(projections, source.copy())


def check_columns(
    inputs: Sequence[FittedFeature | InputColumn], columns: Mapping[str, str], *, place: str | None = None
) -> None:
    """Check that a relation to be scored has the inputs, of a type that means the same as at training.

    Parameters
    ----------
    inputs : sequence of InputColumn
        What the model reads, see ``Parameters.inputs``; features without an expression do as well.
    columns : mapping of str to str
        The relation's columns and their types.
    place : str, optional
        The relation, for errors.

    Raises
    ------
    DataError
        Naming the first column that is missing or has changed its kind.
    """
    types = {name.casefold(): type_name for name, type_name in columns.items()}
    for feature in inputs:
        found = types.get(feature.name.casefold())
        if found is None:
            raise DataError(
                f'no column "{feature.name}", which the model was trained on',
                place=place,
                has=list(columns),
                hint=did_you_mean(feature.name, list(columns)),
            )
        if input_kind(found) != feature.kind:
            raise DataError(
                f'column "{feature.name}" is {found}, but the model was trained on a {feature.kind}',
                place=place,
                hint=f'cast "{feature.name}" in the query, or train again',
            )
