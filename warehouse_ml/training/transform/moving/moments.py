"""Days, instants and types."""

from __future__ import annotations

import datetime as dt
import re
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
    kind_of_node,
    nodes_of_64_bits,
)

if TYPE_CHECKING:
    from warehouse_ml.training.transform.moving.mover import Mover

__all__ = ["WAYS"]

_UNITS = {"YEAR", "QUARTER", "MONTH", "DAY", "HOUR", "MINUTE", "SECOND"}
_CLOCK = {"HOUR", "MINUTE", "SECOND"}
_PARTS: dict[type[exp.Expr], str] = {
    exp.Year: "YEAR",
    exp.Quarter: "QUARTER",
    exp.Month: "MONTH",
    exp.Day: "DAY",
    exp.DayOfMonth: "DAY",
    exp.Hour: "HOUR",
    exp.Minute: "MINUTE",
    exp.Second: "SECOND",
    exp.DayOfWeek: "DAYOFWEEK",
    exp.DayOfWeekIso: "ISODOW",
}
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_INSTANT = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{1,6})?\+00(:00)?")

_NEVER_FAIL = {("int", "double"), ("int", "text"), ("bool", "text"), ("date", "text"), ("wide", "double")}


def part(mover: Mover, node: exp.Expr) -> Value:
    unit = _PARTS.get(type(node)) or node.this.name.upper()
    at = node.this if type(node) in _PARTS else node.expression
    value = mover.own(at)
    if value.kind not in ("date", "instant", "local") or (value.kind == "date" and unit in _CLOCK):
        raise UnmovableError(node)
    if unit in _UNITS:
        return Value(exp.Extract(this=exp.var(unit), expression=value.node), "int", 10_000)
    if unit not in ("DAYOFWEEK", "DOW", "ISODOW") or (mover.source == "bigquery" and unit != "DAYOFWEEK"):
        raise UnmovableError(node, "week-number" if unit == "WEEK" else None)
    day = exp.Extract(this=exp.var("DAYOFWEEK"), expression=value.node)
    one = exp.Literal.number(1)
    if mover.source == "bigquery":
        return Value(exp.Add(this=nodes_of_64_bits(day), expression=one), "int", 7)
    if unit != "ISODOW":
        return Value(exp.Sub(this=day, expression=one), "int", 7)
    # Sunday is 1 there, and shall be 7.
    shifted = exp.Mod(
        this=exp.Paren(this=exp.Add(this=day, expression=exp.Literal.number(5))), expression=exp.Literal.number(7)
    )
    return Value(exp.Add(this=shifted, expression=one), "int", 7)


def micros(mover: Mover, node: exp.Expr) -> Value:
    at = node.expressions[0] if isinstance(node, exp.Anonymous) else node.this
    return Value(_micros_of(mover, at, node), "int", LARGEST_INT)


def _micros_of(mover: Mover, node: exp.Expr, at: exp.Expr) -> exp.Expr:
    value = mover.own(node)
    if value.kind not in ("instant", "local"):
        raise UnmovableError(at, "epoch")
    instant = exp.cast(value.node.copy(), exp.DataType.Type.TIMESTAMPTZ)
    return Spelled(this=exp.UnixMicros(this=value.node), bigquery=exp.UnixMicros(this=instant))


def between_instants(mover: Mover, node: exp.Expr) -> Value:
    unit = node.args.get("unit")
    if unit is None or unit.name.upper() != "MICROSECOND":
        raise UnmovableError(node, "date-diff")
    later, earlier = _micros_of(mover, node.this, node), _micros_of(mover, node.expression, node)
    return Value(exp.Sub(this=later, expression=earlier), "int", LARGEST_INT)


def called(mover: Mover, node: exp.Expr) -> Value:
    if str(node.this).lower() == "epoch_us" and len(node.expressions) == 1 and mover.source == "duckdb":
        return micros(mover, node)
    raise UnmovableError(node)


def cast(mover: Mover, node: exp.Expr) -> Value:
    to = node.args["to"]
    kind, inner = kind_of_node(to), node.this.unnest()
    if kind == "other":
        raise UnmovableError(node)
    if isinstance(inner, exp.Literal) and inner.is_string and kind in ("date", "instant"):
        return Value(exp.cast(nodes.text(_moment(inner.name, kind, node)), to.this), kind)
    value = mover.own(node.this)
    if isinstance(node, exp.TryCast) and kind != value.kind and (value.kind, kind) not in _NEVER_FAIL:
        raise UnmovableError(node, "try-cast")
    if kind == value.kind:
        return value
    match (value.kind, kind):
        case ("int" | "decimal", "double"):
            return as_double(value)
        case ("wide", "double"):
            return Value(nodes.double(value.node), "double", may_nan=True)
        case ("bool", "double"):
            branches = [(value.node, nodes.number(1.0)), (exp.Not(this=held(value.node.copy())), nodes.number(0.0))]
            return Value(nodes.case(branches), "double", 1.0)
        case ("bool", "int"):
            return Value(nodes_of_64_bits(value.node), "int", 1.0)
        case ("int" | "bool" | "date", "text"):
            return Value(exp.cast(value.node, exp.DataType.Type.TEXT), "text")
        case ("instant" | "local", "date"):
            return Value(exp.cast(value.node, exp.DataType.Type.DATE), "date")
        case ("double", "int") if isinstance(inner, (exp.Floor, exp.Ceil, exp.Round, exp.Trunc)):
            return Value(nodes_of_64_bits(value.node), "int", LARGEST_INT)
    raise UnmovableError(node, "round-to-int" if kind == "int" and value.is_number else None)


def _moment(text: str, kind: str, at: exp.Expr) -> str:
    is_written = (_DAY if kind == "date" else _INSTANT).fullmatch(text)
    try:
        if is_written is not None:
            dt.datetime.fromisoformat(text)
            return text
    except ValueError:
        pass
    raise UnmovableError(at)


WAYS: Ways = {
    exp.Extract: (TWO, part),
    **dict.fromkeys(_PARTS, (ONE, part)),
    exp.UnixMicros: (ONE, micros),
    exp.TimestampDiff: (("this", "expression", "unit"), between_instants),
    exp.Anonymous: (("this", "expressions"), called),
    **dict.fromkeys((exp.Cast, exp.TryCast), (("this", "to"), cast)),
    **dict.fromkeys(_PARTS, (ONE, part)),
}
"""How each node is moved, and the arguments of it that are read."""
