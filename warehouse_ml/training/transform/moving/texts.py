"""Texts, lists and structs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from warehouse_ml.scoring import nodes
from warehouse_ml.scoring.spelled import Spelled
from warehouse_ml.training.transform.moving.values import (
    LARGEST_INT,
    ONE,
    TWO,
    UnmovableError,
    Value,
    Ways,
    as_double,
    held,
)

if TYPE_CHECKING:
    from warehouse_ml.training.transform.moving.mover import Mover

__all__ = ["WAYS"]


def joined(mover: Mover, node: exp.Expr) -> Value:
    left, right = (held(mover.text(side).node) for side in (node.this, node.expression))
    return Value(exp.DPipe(this=left, expression=right), "text")


def length(mover: Mover, node: exp.Expr) -> Value:
    return Value(exp.Anonymous(this="LENGTH", expressions=[mover.text(node.this).node]), "int", LARGEST_INT)


def substring(mover: Mover, node: exp.Expr) -> Value:
    numbers = [node.args["start"], *([node.args["length"]] if node.args.get("length") else [])]
    places = [_whole(one, node) for one in numbers]
    if places[0] < 1:
        raise UnmovableError(node, "substring-zero")
    written = [mover.text(node.this).node, *(exp.Literal.number(place) for place in places)]
    return Value(exp.Anonymous(this="SUBSTR", expressions=written), "text")


def left(mover: Mover, node: exp.Expr) -> Value:
    written = [mover.text(node.this).node, exp.Literal.number(_whole(node.expression, node))]
    return Value(exp.Anonymous(this="LEFT", expressions=written), "text")


def sought(mover: Mover, node: exp.Expr) -> Value:
    is_place = isinstance(node, exp.StrPosition)
    part = node.args["substr"] if is_place else node.expression
    written = [mover.text(node.this).node, nodes.text(_some_text(part, node))]
    if is_place:
        return Value(exp.Anonymous(this="STRPOS", expressions=written), "int", LARGEST_INT)
    return Value(exp.Anonymous(this="STARTS_WITH", expressions=written), "bool")


def replaced(mover: Mover, node: exp.Expr) -> Value:
    by = node.args["replacement"]
    if not isinstance(by, exp.Literal) or not by.is_string:
        raise UnmovableError(node)
    parts = [mover.text(node.this).node, nodes.text(_some_text(node.expression, node)), nodes.text(by.name)]
    return Value(exp.Anonymous(this="REPLACE", expressions=parts), "text")


def like(mover: Mover, node: exp.Expr) -> Value:
    pattern = _some_text(node.expression, node)
    if "\\" in pattern or "_" in pattern:
        raise UnmovableError(node, "backslash" if "\\" in pattern else None)
    written: exp.Expr = exp.Like(this=held(mover.text(node.this).node), expression=nodes.text(pattern))
    return Value(exp.Not(this=exp.Paren(this=written)) if node.args.get("negate") else written, "bool")


def split(mover: Mover, node: exp.Expr) -> Value:
    parts = [mover.text(node.this).node, nodes.text(_some_text(node.expression, node))]
    written = Spelled(
        this=exp.Anonymous(this="STRING_SPLIT", expressions=parts),
        bigquery=exp.Anonymous(this="SPLIT", expressions=[part.copy() for part in parts]),
    )
    return Value(written, "texts")


def listed(mover: Mover, node: exp.Expr) -> Value:
    values = [mover.own(one) for one in node.expressions]
    if values and all(value.is_number for value in values):
        return Value(exp.Array(expressions=[as_double(value).node for value in values]), "numbers")
    if values and all(value.kind == "text" for value in values):
        return Value(exp.Array(expressions=[value.node for value in values]), "texts")
    raise UnmovableError(node)


def struct(mover: Mover, node: exp.Expr) -> Value:
    fields = []
    for field in node.expressions:
        if not isinstance(field, (exp.PropertyEQ, exp.Column)):
            raise UnmovableError(node)
        name, value = (field.name, field) if isinstance(field, exp.Column) else (field.this.name, field.expression)
        written = exp.to_identifier(name, quoted=True)
        fields.append(exp.PropertyEQ(this=written, expression=mover.own(value).node))
    return Value(exp.Struct(expressions=fields), "other")


def _whole(node: exp.Expr, at: exp.Expr) -> int:
    if not isinstance(node, exp.Literal) or node.is_string or not node.name.isdigit() or int(node.name) >= 2**31:
        raise UnmovableError(at)
    return int(node.name)


def _some_text(node: exp.Expr, at: exp.Expr) -> str:
    if not isinstance(node, exp.Literal) or not node.is_string or not node.name:
        raise UnmovableError(at)
    return node.name


WAYS: Ways = {
    exp.DPipe: (TWO, joined),
    exp.Length: (ONE, length),
    exp.Substring: (("this", "start", "length"), substring),
    exp.Left: (TWO, left),
    exp.StrPosition: (("this", "substr"), sought),
    exp.StartsWith: (TWO, sought),
    exp.Replace: (("this", "expression", "replacement"), replaced),
    exp.Like: (("this", "expression", "negate"), like),
    exp.Split: (TWO, split),
    exp.Array: (("expressions",), listed),
    exp.Struct: (("expressions",), struct),
}
"""How each node is moved, and the arguments of it that are read."""
