"""What is known of the value of an expression, and the nodes that compare and add such values alike on both engines."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

from sqlglot import exp

from warehouse_ml.scoring import nodes
from warehouse_ml.scoring.spelled import Difference, Product, Sum

if TYPE_CHECKING:
    from warehouse_ml.training.transform.moving.mover import Mover

__all__ = [
    "LARGEST_INT",
    "NUMBERS",
    "ONE",
    "TWO",
    "UnmovableError",
    "Value",
    "ValueKind",
    "Ways",
    "arithmetic",
    "as_double",
    "compared",
    "constant_of",
    "held",
    "is_constant",
    "kind_of_node",
    "kind_of_type",
    "nodes_of_64_bits",
    "uncast",
    "unified",
    "whole_arithmetic",
]

ValueKind = Literal[
    "int", "double", "decimal", "bool", "text", "date", "instant", "local", "texts", "numbers", "wide", "null", "other"
]
"""``decimal``: a constant of DuckDB's with a point; ``wide``: a number that is a double nowhere; ``local``: no zone."""

ONE, TWO = ("this",), ("this", "expression")
"""The arguments of what is about one thing, and of what is about two."""

Ways = dict[type[exp.Expr], tuple[tuple[str, ...], "Callable[[Mover, Any], Value]"]]
NUMBERS = ("int", "double", "decimal")
LARGEST_INT = 2.0**63
# A sum with a term of this size at most is no larger than the other term, or finite.
_SMALL = 1e290
_FINITE = 1.7e308

_KINDS: dict[str, ValueKind] = {
    **dict.fromkeys(("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER"), "int"),
    "INT64": "int",
    **dict.fromkeys(("DOUBLE", "FLOAT64"), "double"),
    **dict.fromkeys(("BOOLEAN", "BOOL"), "bool"),
    **dict.fromkeys(("VARCHAR", "STRING"), "text"),
    "DATE": "date",
    "TIMESTAMP WITH TIME ZONE": "instant",
    "DATETIME": "local",
    **dict.fromkeys(("FLOAT", "HUGEINT", "UBIGINT", "UHUGEINT", "NUMERIC", "BIGNUMERIC"), "wide"),
}


_NODE_KINDS: dict[object, ValueKind] = {
    exp.DataType.Type.DOUBLE: "double",
    exp.DataType.Type.BOOLEAN: "bool",
    **dict.fromkeys((exp.DataType.Type.TEXT, exp.DataType.Type.VARCHAR), "text"),
    exp.DataType.Type.DATE: "date",
    exp.DataType.Type.TIMESTAMPTZ: "instant",
}


class UnmovableError(Exception):
    """An expression that is not known to be the same on the other engine.

    Parameters
    ----------
    node : exp.Expr
        The part of it.
    code : str, optional
        The rule of portability that says what differs.
    why : str, optional
        Else, in words.
    """

    def __init__(self, node: exp.Expr, code: str | None = None, why: str | None = None) -> None:
        super().__init__(code or why or "")
        self.node = node
        self.code = code
        self.why = why


@dataclass(frozen=True)
class Value:
    """An expression for the other engine, and what is known of it.

    Parameters
    ----------
    node : exp.Expr
    kind : str
        A ``ValueKind``.
    most : float
        Of a number: it is no further from 0.
    may_nan : bool
        Whether it may be NaN.
    """

    node: exp.Expr
    kind: ValueKind
    most: float = math.inf
    may_nan: bool = False

    @property
    def is_number(self) -> bool:
        """Whether it is a number to calculate with."""
        return self.kind in NUMBERS


@lru_cache(maxsize=256)
def kind_of_type(type_name: str, engine: str) -> ValueKind:
    """Return what a type of an engine's is."""
    name = type_name.upper()
    if name.startswith("ARRAY<") or name.endswith("[]"):
        element = kind_of_type(name.removeprefix("ARRAY<").removesuffix(">").removesuffix("[]"), engine)
        return "texts" if element == "text" else "numbers" if element in ("int", "double") else "other"
    if name.startswith("TIMESTAMP") and "ZONE" not in name:
        return "instant" if engine == "bigquery" else "local"
    if name.startswith(("DECIMAL(", "NUMERIC(", "BIGNUMERIC(")) and name.endswith(")"):
        return "wide"
    return _KINDS.get(name, "other")


def kind_of_node(kind: exp.Expr) -> ValueKind:
    """Return what a type that is written in an expression is."""
    if kind.expressions or kind.args.get("nested"):
        return "other"
    if kind.this in exp.DataType.INTEGER_TYPES:
        return "int"
    return _NODE_KINDS.get(kind.this, "other")


def held(node: exp.Expr) -> exp.Expr:
    """Return what can stand beside any operator."""
    is_whole = isinstance(node, (exp.Column, exp.Literal, exp.Paren, exp.Case, exp.Cast, exp.Anonymous, exp.Boolean))
    return node if is_whole else exp.Paren(this=node)


def as_double(value: Value) -> Value:
    """Return a number as a double."""
    if value.kind in ("double", "null"):
        return value
    if value.kind == "decimal":
        # It is written as a double already.
        return replace(value, kind="double")
    if isinstance(value.node, exp.Literal):
        return replace(value, node=nodes.number(float(value.node.name)), kind="double")
    return replace(value, node=nodes.double(value.node), kind="double")


def unified(values: list[Value], at: exp.Expr) -> list[Value]:
    """Return values of one kind, as branches of a CASE must be.

    Raises
    ------
    UnmovableError
        If the engines would not agree on one.
    """
    kinds = {value.kind for value in values} - {"null"}
    if kinds & {"texts", "numbers", "wide", "other"}:
        raise UnmovableError(at)
    if len(kinds) <= 1:
        return values
    if "double" in kinds and kinds <= set(NUMBERS):
        return [as_double(value) for value in values]
    if kinds == {"int", "decimal"}:
        if any(value.kind == "int" and not isinstance(value.node, exp.Literal) for value in values):
            raise UnmovableError(at, "decimal-literals")
        return [replace(as_double(value), kind="decimal") if value.kind == "int" else value for value in values]
    raise UnmovableError(at, "implicit-cast")


def compared(operator: type[exp.Expr], left: Value, right: Value, target: str, at: exp.Expr) -> exp.Expr:
    """Return a comparison that is for NaN what the engine says that it was written for.

    Parameters
    ----------
    operator : type
        ``exp.EQ``, ``exp.NEQ``, ``exp.GT``, ``exp.GTE``, ``exp.LT`` or ``exp.LTE``.
    left, right : Value
    target : str
        The other engine: NaN is equal to itself and above all numbers on DuckDB, and nothing on BigQuery.
    at : exp.Expr
        What is told of if it cannot be.
    """
    if "null" in (left.kind, right.kind):
        raise UnmovableError(at)
    if left.is_number and right.is_number:
        if (left.kind, right.kind) != ("int", "int"):
            left, right = as_double(left), as_double(right)
    elif left.kind != right.kind or left.kind not in ("text", "bool", "date", "instant", "local"):
        raise UnmovableError(at, "implicit-cast" if "text" in (left.kind, right.kind) else None)
    if operator is exp.NEQ:
        return _not(compared(exp.EQ, left, right, target, at))
    if operator in (exp.LT, exp.LTE):
        return compared(exp.GT if operator is exp.LT else exp.GTE, right, left, target, at)
    # NaN is never equal to what is none, and what is none is never above NaN, on both.
    if not left.may_nan or (operator is exp.EQ and not right.may_nan):
        return operator(this=held(left.node), expression=held(right.node))
    return _ordered(operator, left, right) if target == "bigquery" else _unordered(operator, left, right)


def _ordered(operator: type[exp.Expr], left: Value, right: Value) -> exp.Expr:
    """Return for BigQuery what DuckDB says: NaN is equal to itself and above all numbers."""
    if operator is exp.GTE:
        return _not(_ordered(exp.GT, right, left))
    plain = operator(this=held(left.node.copy()), expression=held(right.node.copy()))
    if not left.may_nan:
        return plain
    if is_constant(right.node):
        return exp.Paren(this=exp.Or(this=exp.Paren(this=plain), expression=_is_nan(left)))
    # Null where the other side is.
    other = _is_nan(right) if operator is exp.EQ else _not(_is_nan(right))
    above = exp.And(this=_is_nan(left), expression=other)
    return exp.Paren(this=exp.Or(this=exp.Paren(this=plain), expression=exp.Paren(this=above)))


def _unordered(operator: type[exp.Expr], left: Value, right: Value) -> exp.Expr:
    """Return for DuckDB what BigQuery says: nothing is equal to NaN, or above it, or below."""
    plain = operator(this=held(left.node.copy()), expression=held(right.node.copy()))
    is_null = exp.Is(this=held(right.node.copy()), expression=exp.Null())
    no = exp.And(this=exp.Paren(this=is_null), expression=exp.cast(exp.Null(), exp.DataType.Type.BOOLEAN))
    return nodes.case([(_is_nan(left), no)], plain)


def _is_nan(value: Value) -> exp.Expr:
    return exp.IsNan(this=value.node.copy())


def _not(node: exp.Expr) -> exp.Expr:
    return exp.Not(this=held(node))


def arithmetic(operator: type[exp.Expr], left: Value, right: Value) -> Value:
    """Return a sum, difference or product of doubles, infinite where it overflows, as it is on DuckDB."""
    left, right = as_double(left), as_double(right)
    one, other = held(left.node), held(right.node)
    smaller = min(left.most, right.most)
    if operator is exp.Mul:
        most = left.most * right.most if smaller else 0.0
        is_safe = most <= _FINITE or smaller <= 1
        # An infinity times 0.
        may_nan = left.may_nan or right.may_nan or math.isinf(max(left.most, right.most))
    else:
        most = left.most + right.most
        is_safe = most <= _FINITE or smaller <= _SMALL
        may_nan = left.may_nan or right.may_nan or math.isinf(smaller)
    spelled: dict[type[exp.Expr], type[exp.Expr]] = {exp.Add: Sum, exp.Sub: Difference, exp.Mul: Product}
    node = (operator if is_safe else spelled[operator])(this=one, expression=other)
    return Value(node, "double", most if is_safe and most <= _FINITE else math.inf, may_nan)


def whole_arithmetic(operator: type[exp.Expr], left: Value, right: Value, target: str) -> Value:
    """Return what becomes of two whole numbers; DuckDB would calculate in the narrower type of the two."""
    one, other = (nodes_of_64_bits(value.node) if target == "duckdb" else held(value.node) for value in (left, right))
    return Value(operator(this=one, expression=other), "int", LARGEST_INT)


def nodes_of_64_bits(node: exp.Expr) -> exp.Expr:
    """Return a whole number in 64 bits."""
    return exp.Cast(this=node, to=exp.DataType(this=exp.DataType.Type.BIGINT))


def uncast(node: exp.Expr) -> exp.Expr:
    """Return a number without parentheses around it, and without its cast to a double."""
    bare = node.unnest()
    is_cast = isinstance(bare, exp.Cast) and bare.args["to"].this == exp.DataType.Type.DOUBLE
    return bare.this.unnest() if is_cast else bare


def is_constant(node: exp.Expr) -> bool:
    """Whether it is a literal, a negative one among them."""
    bare = node.this if isinstance(node, exp.Neg) else node
    return isinstance(bare.unnest(), exp.Literal)


def constant_of(node: exp.Expr) -> float:
    """Return the number that a literal says, without its sign."""
    bare = node.this if isinstance(node, exp.Neg) else node
    return float(bare.unnest().name)
