"""What columns hold: ``ml.describe_data``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlglot import exp
from sqlglot.errors import ParseError, TokenError

from warehouse_ml.errors import DataError
from warehouse_ml.functions.call import Call, Context
from warehouse_ml.functions.settings import Setting, settings
from warehouse_ml.scoring import nodes
from warehouse_ml.templates import statement

__all__ = ["describe_data"]

# Columns read together: each batch is one pass, and holds their values while it runs.
_NUMBERS_IN_BATCH = 100
_CATEGORIES_IN_BATCH = 50

_REALS = (exp.DataType.Type.FLOAT, exp.DataType.Type.DOUBLE)
_INTEGERS = (*exp.DataType.INTEGER_TYPES, exp.DataType.Type.INT128, exp.DataType.Type.UINT128)
_NUMBERS = (*exp.DataType.NUMERIC_TYPES, *_INTEGERS)


@dataclass(frozen=True)
class _Column:
    """A column, or a field of one.

    Parameters
    ----------
    place : int
        In the order of the output.
    name : str
        A field is called ``column.field``.
    value : str
        SQL over the relation ``source``; for an array, of an element.
    source : str
    kind : str
        ``integer``, ``real`` or ``category``.
    list : str, optional
        An array itself, as SQL over the input.
    index : str, optional
        The position that an element of a sparse array names.
    """

    place: int
    name: str
    value: str
    source: str
    kind: str
    list: str | None = None
    index: str | None = None


def describe_data(call: Call, context: Context) -> str:
    """Return statistics of every column of the input, exact: one row for each column.

    Columns: name, num_rows, num_nulls, num_zeros, min, max (text), mean, stddev, median, quantiles, unique,
    avg_string_length, num_values, top_values, min_array_length, max_array_length, avg_array_length,
    total_array_length, array_length_quantiles, dimension.

    Settings: ``num_quantiles`` (2: the least, the middle and the greatest value), ``num_array_length_quantiles`` (10)
    and ``top_k`` (1).

    Numbers have the moments and quantiles; all else is text with unique, avg_string_length and top_values. NaN and
    infinities count as NULL. stddev is that of a sample; quantiles are values that occur, median is the mean of the
    two in the middle; equally frequent top values are in ascending order. A struct is described field by field, an
    array element by element; an element is a number, text or else as its text, and num_nulls counts arrays.

    Raises
    ------
    DataError
        If the input has no column.
    DefinitionError
        If a setting is wrong.
    """
    chosen = settings(
        call,
        num_quantiles=Setting("integer", 2, low=1, high=100_000),
        num_array_length_quantiles=Setting("integer", 10, low=1, high=100_000),
        top_k=Setting("integer", 1, low=1, high=10_000),
    )
    (read,) = call.inputs
    engine = context.warehouse.engine
    columns = list(_columns(context.columns(read), engine))
    if not columns:
        raise DataError("there is no column to describe", place=call.place)
    numbers = [column for column in columns if column.kind != "category"]
    categories = [column for column in columns if column.kind == "category"]
    return statement(
        __package__,
        "describe_data.sql",
        engine,
        rows=read.sql,
        columns=[_told(column) for column in columns],
        arrays=[_told(column) for column in columns if column.list is not None],
        numbers=_batches(numbers, _NUMBERS_IN_BATCH),
        categories=_batches(categories, _CATEGORIES_IN_BATCH),
        n_quantiles=chosen["num_quantiles"],
        n_length_quantiles=chosen["num_array_length_quantiles"],
        top_k=chosen["top_k"],
    )


def _columns(types: dict[str, str], engine: str) -> Iterator[_Column]:
    places = iter(range(10**9))
    for name, type_name in types.items():
        yield from _described(name, nodes.column(name, "wml_base"), _parsed(type_name, engine), engine, places)


def _described(
    name: str, node: exp.Expr, kind: exp.DataType | None, engine: str, places: Iterator[int]
) -> Iterator[_Column]:
    if kind is not None and kind.this == exp.DataType.Type.STRUCT and kind.expressions:
        for field in kind.expressions:
            part = exp.Dot(this=node.copy(), expression=exp.to_identifier(field.name, quoted=True))
            yield from _described(f"{name}.{field.name}", part, field.args.get("kind"), engine, places)
        return
    place = next(places)
    value = node.sql(dialect=engine)
    if kind is None or kind.this != exp.DataType.Type.ARRAY or not kind.expressions:
        yield _Column(place, name, value, "wml_base", _kind(kind))
        return
    element, source = kind.expressions[0], f"elements_{place}"
    sparse = _sparse(element)
    if sparse is not None:
        index, number = (
            exp.Dot(this=exp.to_identifier("wml_element"), expression=exp.to_identifier(field.name, quoted=True))
            for field in sparse
        )
        number_kind = _kind(sparse[1].args["kind"])
        yield _Column(
            *(place, name, number.sql(dialect=engine), source, number_kind, value),
            index=index.sql(dialect=engine),
        )
        return
    yield _Column(place, name, "wml_element", source, _kind(element), value)


def _sparse(element: exp.Expr) -> list[exp.Expr] | None:
    """Return the two fields of an element that names its position, or None."""
    if not isinstance(element, exp.DataType) or element.this != exp.DataType.Type.STRUCT:
        return None
    kinds = [field.args.get("kind") for field in element.expressions]
    if len(kinds) != 2 or kinds[0] is None or kinds[0].this not in _INTEGERS or _kind(kinds[1]) == "category":
        return None
    return list(element.expressions)


def _kind(kind: exp.Expr | None) -> str:
    if not isinstance(kind, exp.DataType) or kind.this not in _NUMBERS:
        return "category"
    return "real" if kind.this in _REALS else "integer"


def _parsed(type_name: str, engine: str) -> exp.DataType | None:
    try:
        return exp.DataType.build(type_name, dialect=engine)
    except (ParseError, TokenError, ValueError):
        return None


def _batches(columns: Sequence[_Column], size: int) -> list[dict[str, Any]]:
    """Return columns of the same relation together, a number of them at a time."""
    batches = []
    for source in dict.fromkeys(column.source for column in columns):
        told = [_told(column) for column in columns if column.source == source]
        batches += [{"source": source, "columns": told[i : i + size]} for i in range(0, len(told), size)]
    return batches


def _told(column: _Column) -> dict[str, Any]:
    return {
        "place": column.place,
        "name": column.name,
        "value": column.value,
        "is_real": column.kind == "real",
        "is_category": column.kind == "category",
        "list": column.list,
        "index": column.index,
    }
