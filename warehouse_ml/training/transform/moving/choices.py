"""Names, constants, conditions and choices."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from sqlglot import exp

from warehouse_ml.scoring import nodes
from warehouse_ml.training.transform.moving.values import (
    LARGEST_INT,
    ONE,
    TWO,
    UnmovableError,
    Value,
    Ways,
    as_double,
    compared,
    held,
    is_constant,
    unified,
)

if TYPE_CHECKING:
    from warehouse_ml.training.transform.moving.mover import Mover

__all__ = ["WAYS"]

# A decimal of so many digits is the double that is written alike.
_MOST_DIGITS = 15


def column(mover: Mover, node: exp.Expr) -> Value:
    kind = mover.kind_of(node)
    return Value(nodes.column(node.name), kind, LARGEST_INT if kind == "int" else math.inf, kind == "double")


def literal(mover: Mover, node: exp.Expr) -> Value:
    if node.is_string:
        return Value(nodes.text(node.name), "text")
    text = node.name.lower()
    if not any(sign in text for sign in ".e"):
        if not text.isdigit() or int(text) >= 2**63:
            raise UnmovableError(node)
        return Value(exp.Literal.number(int(text)), "int", float(text))
    number = float(text)
    if not math.isfinite(number):
        raise UnmovableError(node)
    is_decimal = mover.source == "duckdb" and "e" not in text
    if is_decimal and len(text.replace(".", "").lstrip("0")) > _MOST_DIGITS:
        raise UnmovableError(node, "decimal-literals")
    return Value(nodes.number(number), "decimal" if is_decimal else "double", abs(number))


def boolean(mover: Mover, node: exp.Expr) -> Value:
    return Value(exp.Boolean(this=bool(node.this)), "bool")


def null(mover: Mover, node: exp.Expr) -> Value:
    return Value(exp.Null(), "null")


def parenthesis(mover: Mover, node: exp.Expr) -> Value:
    value = mover.own(node.this)
    return Value(held(value.node), value.kind, value.most, value.may_nan)


def negation(mover: Mover, node: exp.Expr) -> Value:
    return Value(exp.Not(this=held(mover.condition(node.this).node)), "bool")


def connected(mover: Mover, node: exp.Expr) -> Value:
    left, right = (held(mover.condition(side).node) for side in (node.this, node.expression))
    return Value(exp.Paren(this=type(node)(this=left, expression=right)), "bool")


def is_null(mover: Mover, node: exp.Expr) -> Value:
    value = mover.own(node.this)
    # A list that is NULL, and one without elements, are the same to BigQuery once they are kept.
    if not isinstance(node.expression, exp.Null) or value.kind in ("texts", "numbers", "other", "null"):
        raise UnmovableError(node)
    return Value(exp.Is(this=held(value.node), expression=exp.Null()), "bool")


def comparison(mover: Mover, node: exp.Expr) -> Value:
    left, right = mover.own(node.this), mover.own(node.expression)
    return Value(compared(type(node), left, right, mover.target, node), "bool")


def between(mover: Mover, node: exp.Expr) -> Value:
    value, low, high = (mover.own(node.args[name]) for name in ("this", "low", "high"))
    sides = [
        held(compared(exp.GTE, value, low, mover.target, node)),
        held(compared(exp.LTE, value, high, mover.target, node)),
    ]
    return Value(exp.Paren(this=exp.And(this=sides[0], expression=sides[1])), "bool")


def one_of(mover: Mover, node: exp.Expr) -> Value:
    value, listed = mover.own(node.this), [mover.own(one) for one in node.expressions]
    if not listed or not all(is_constant(one.node) for one in listed):
        raise UnmovableError(node)
    if value.kind == "int" and any(one.kind != "int" for one in listed):
        value = as_double(value)
    found = [compared(exp.EQ, value, one, mover.target, node) for one in listed]
    return Value(exp.In(this=found[0].this, expressions=[one.expression for one in found]), "bool")


def case(mover: Mover, node: exp.Expr) -> Value:
    subject = mover.own(node.this) if node.args.get("this") else None
    conditions, results = [], []
    for branch in node.args["ifs"]:
        if subject is None:
            conditions.append(mover.condition(branch.this).node)
        else:
            key = mover.own(branch.this)
            conditions.append(compared(exp.EQ, subject, key, mover.target, node))
        results.append(_guarded(mover, branch.this if subject is None else None, branch.args["true"]))
    default = node.args.get("default")
    if default is not None:
        results.append(mover.own(default))
    results = unified(results, node)
    ifs = list(zip(conditions, [one.node for one in results], strict=False))
    written = nodes.case(ifs, results[-1].node if default is not None else None)
    return _of_all(written, results)


def choice(mover: Mover, node: exp.Expr) -> Value:
    false = node.args.get("false")
    results = [_guarded(mover, node.this, node.args["true"]), *([mover.own(false)] if false is not None else [])]
    condition = mover.condition(node.this).node
    results = unified(results, node)
    written = nodes.case([(condition, results[0].node)], results[1].node if false is not None else None)
    return _of_all(written, results)


def _guarded(mover: Mover, condition: exp.Expr | None, node: exp.Expr) -> Value:
    """Return a branch; what its condition says of the sign of a number holds in it."""
    positive, not_zero = len(mover.positive), len(mover.not_zero)
    for part in condition.flatten() if isinstance(condition, exp.And) else [condition]:
        bare = part.unnest() if part is not None else None
        if not isinstance(bare, (exp.GT, exp.NEQ)) or not isinstance(bare.expression, exp.Literal):
            continue
        if bare.expression.is_string or (isinstance(bare, exp.NEQ) and float(bare.expression.name) != 0):
            continue
        told = mover.told(bare.this)
        mover.not_zero.append(told)
        if isinstance(bare, exp.GT):
            mover.positive.append(told)
    value = mover.own(node)
    del mover.positive[positive:], mover.not_zero[not_zero:]
    return value


def coalesce(mover: Mover, node: exp.Expr) -> Value:
    values = unified([mover.own(one) for one in (node.this, *node.expressions)], node)
    written = exp.Coalesce(this=values[0].node, expressions=[one.node for one in values[1:]])
    return _of_all(written, values)


def nullif(mover: Mover, node: exp.Expr) -> Value:
    value, other = mover.own(node.this), mover.own(node.expression)
    if not is_constant(other.node) or (value.kind in ("int", "decimal") and other.kind != value.kind):
        raise UnmovableError(node)
    same = compared(exp.EQ, value, other, mover.target, node)
    written = exp.Nullif(this=same.this, expression=same.expression)
    return Value(written, value.kind, value.most, value.may_nan)


def extreme(mover: Mover, node: exp.Expr) -> Value:
    values = [mover.own(one) for one in (node.this, *node.expressions)]
    if len(values) != 2 or not all(value.is_number for value in values):
        raise UnmovableError(node, "least-greatest")
    left, right = unified(values, node)
    above = exp.GT if isinstance(node, exp.Least) else exp.LT
    pick_right = compared(above, left, right, mover.target, node)
    are_null: list[exp.Expr] = [exp.Is(this=held(one.node.copy()), expression=exp.Null()) for one in (left, right)]
    if mover.source == "duckdb":
        branches = [(are_null[0], right.node), (are_null[1], left.node), (pick_right, right.node.copy())]
    else:
        # One that is NULL, or else NaN, makes all so.
        branches = [
            (exp.Or(this=are_null[0], expression=are_null[1]), exp.Null()),
            *[(exp.IsNan(this=one.node.copy()), one.node.copy()) for one in (left, right) if one.may_nan],
            (pick_right, right.node.copy()),
        ]
    return _of_all(nodes.case(branches, left.node.copy()), [left, right])


def _of_all(node: exp.Expr, values: list[Value]) -> Value:
    """Return a choice among values."""
    kind = next((value.kind for value in values if value.kind != "null"), values[0].kind)
    most = max((value.most for value in values if value.kind != "null"), default=math.inf)
    return Value(node, kind, most, any(value.may_nan for value in values))


WAYS: Ways = {
    exp.Column: (ONE, column),
    exp.Literal: (("this", "is_string"), literal),
    exp.Boolean: (ONE, boolean),
    exp.Null: ((), null),
    exp.Paren: (ONE, parenthesis),
    exp.Not: (ONE, negation),
    **dict.fromkeys((exp.And, exp.Or), (TWO, connected)),
    exp.Is: (TWO, is_null),
    **dict.fromkeys((exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE), (TWO, comparison)),
    exp.Between: (("this", "low", "high"), between),
    exp.In: (("this", "expressions"), one_of),
    exp.Case: (("this", "ifs", "default"), case),
    exp.If: (("this", "true", "false"), choice),
    exp.Coalesce: (("this", "expressions"), coalesce),
    exp.Nullif: (TWO, nullif),
    **dict.fromkeys((exp.Least, exp.Greatest), (("this", "expressions"), extreme)),
}
"""How each node is moved, and the arguments of it that are read."""
