"""Calculating."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from sqlglot import exp

from warehouse_ml.scoring import nodes
from warehouse_ml.scoring.spelled import Quotient
from warehouse_ml.training.transform.moving.values import (
    ONE,
    TWO,
    UnmovableError,
    Value,
    Ways,
    arithmetic,
    as_double,
    constant_of,
    held,
    is_constant,
    nodes_of_64_bits,
    uncast,
    whole_arithmetic,
)

if TYPE_CHECKING:
    from warehouse_ml.training.transform.moving.mover import Mover

__all__ = ["WAYS"]

# The largest whose exponential is finite.
_LARGEST_EXP = 709.782712893384


def negative(mover: Mover, node: exp.Expr) -> Value:
    value = mover.own(node.this)
    if not value.is_number:
        raise UnmovableError(node)
    return Value(exp.Neg(this=held(value.node)), value.kind, value.most, value.may_nan)


def sum_or_product(mover: Mover, node: exp.Expr) -> Value:
    left, right = _numbers(mover, node)
    if (left.kind, right.kind) == ("int", "int"):
        return whole_arithmetic(type(node), left, right, mover.target)
    if "double" not in (left.kind, right.kind):
        raise UnmovableError(node, "decimal-literals")
    return arithmetic(type(node), left, right)


def _numbers(mover: Mover, node: exp.Expr) -> tuple[Value, Value]:
    left, right = mover.own(node.this), mover.own(node.expression)
    if not left.is_number or not right.is_number:
        raise UnmovableError(node)
    return left, right


def quotient(mover: Mover, node: exp.Expr) -> Value:
    left, right = _numbers(mover, node)
    divisor = uncast(node.expression)
    is_number = is_constant(right.node) and constant_of(right.node) != 0
    is_never_0 = isinstance(divisor, exp.Nullif) and is_constant(divisor.expression)
    is_never_0 = is_never_0 and constant_of(divisor.expression) == 0
    is_safe = is_number or is_never_0 or mover.told(divisor) in mover.not_zero
    if mover.source == "bigquery" and not is_safe:
        raise UnmovableError(node, "division")
    one, other = as_double(left), as_double(right)
    written = Quotient(this=held(one.node), expression=held(other.node))
    if not is_number:
        return Value(written, "double", may_nan=True)
    most = one.most / right.most if right.most >= 1 else math.inf
    return Value(written, "double", most, one.may_nan)


def safe_quotient(mover: Mover, node: exp.Expr) -> Value:
    """Return the quotient, or NULL where BigQuery could not tell one."""
    left, right = (as_double(one) for one in _numbers(mover, node))
    plain = exp.Div(this=held(left.node), expression=held(right.node))
    is_none = exp.EQ(this=held(right.node.copy()), expression=nodes.number(0.0))
    overflows = exp.And(this=exp.IsInf(this=plain), expression=exp.Not(this=exp.IsInf(this=left.node.copy())))
    branches: list[tuple[exp.Expr, exp.Expr]] = [(is_none, exp.Null()), (overflows, exp.Null())]
    return Value(nodes.case(branches, plain.copy()), "double", may_nan=True)


def remainder(mover: Mover, node: exp.Expr) -> Value:
    left, right = _numbers(mover, node)
    if (left.kind, right.kind) != ("int", "int") or not is_constant(right.node) or not constant_of(right.node):
        raise UnmovableError(node, "modulo" if isinstance(node, exp.Mod) else "whole-division")
    return whole_arithmetic(type(node), left, right, mover.target)


def absolute(mover: Mover, node: exp.Expr) -> Value:
    value = mover.own(node.this)
    if value.kind not in ("int", "double"):
        raise UnmovableError(node)
    whole = value.kind == "int" and mover.target == "duckdb"
    inner = nodes_of_64_bits(value.node) if whole else value.node
    return Value(exp.Abs(this=inner), value.kind, value.most, value.may_nan)


def rounded(mover: Mover, node: exp.Expr) -> Value:
    value = mover.double(node.this)
    names: dict[type[exp.Expr], str] = {exp.Floor: "FLOOR", exp.Ceil: "CEIL", exp.Round: "ROUND", exp.Trunc: "TRUNC"}
    name = names[type(node)]
    return Value(exp.Anonymous(this=name, expressions=[value.node]), "double", value.most + 1, value.may_nan)


def partial(mover: Mover, node: exp.Expr) -> Value:
    """Return a function with a value for some numbers alone: elsewhere DuckDB's is NaN or infinite."""
    found = mover.own(node.this)
    if not found.is_number:
        raise UnmovableError(node)
    value, zero = as_double(found), nodes.number(0.0)
    plain = type(node)(this=value.node)
    if mover.source == "bigquery":
        if isinstance(node, exp.Exp) or mover.told(node.this) not in mover.positive:
            raise UnmovableError(node, "math-domain")
        return Value(plain, "double", may_nan=value.may_nan)
    if isinstance(node, exp.Exp):
        too_large = exp.GT(this=held(value.node.copy()), expression=nodes.number(_LARGEST_EXP))
        branches: list[tuple[exp.Expr, exp.Expr]] = [(too_large, nodes.infinity())]
    else:
        below = exp.LT(this=held(value.node.copy()), expression=zero)
        branches = [(below, nodes.double(nodes.text("nan")))]
        if isinstance(node, exp.Ln):
            is_zero = exp.EQ(this=held(value.node.copy()), expression=zero.copy())
            branches.append((is_zero, nodes.infinity("-")))
    return Value(nodes.case(branches, plain), "double", may_nan=value.may_nan or not isinstance(node, exp.Exp))


def is_nan(mover: Mover, node: exp.Expr) -> Value:
    return Value(exp.IsNan(this=mover.double(node.this).node), "bool")


WAYS: Ways = {
    exp.Neg: (ONE, negative),
    **dict.fromkeys((exp.Add, exp.Sub, exp.Mul), (TWO, sum_or_product)),
    exp.Div: (TWO, quotient),
    exp.SafeDivide: (TWO, safe_quotient),
    **dict.fromkeys((exp.Mod, exp.IntDiv), (TWO, remainder)),
    exp.Abs: (ONE, absolute),
    **dict.fromkeys((exp.Floor, exp.Ceil, exp.Round, exp.Trunc), (ONE, rounded)),
    **dict.fromkeys((exp.Ln, exp.Sqrt, exp.Exp), (ONE, partial)),
    exp.IsNan: (ONE, is_nan),
}
"""How each node is moved, and the arguments of it that are read."""
