"""Constants of a statement, as Python values."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from sqlglot import exp

__all__ = ["NotConstantError", "constant"]

_MOST_STEPS = 10_000


class NotConstantError(ValueError):
    """An expression whose value only the warehouse can tell.

    Parameters
    ----------
    written : str
        The expression.
    hint : str, optional
        What was probably meant.
    """

    def __init__(self, written: str, hint: str | None = None) -> None:
        super().__init__("must be a constant" if hint is None else hint)
        self.written = written
        self.hint = hint


def constant(node: exp.Expr) -> Any:
    """Return the value of a literal, a list, a struct or a tuple of constants.

    A list is a list, a tuple and a struct without names a tuple, a struct with names a dict with lower-case keys;
    ``generate_array(first, last[, step])`` is the list of its numbers, the last one included.

    Raises
    ------
    NotConstantError
        If anything in it is not a constant.
    """
    match node:
        case exp.Literal():
            return node.this if node.is_string else _number(node.this)
        case exp.Boolean():
            return bool(node.this)
        case exp.Null():
            return None
        case exp.Neg() if isinstance(number := constant(node.this), (int, float)) and not isinstance(number, bool):
            return -number
        case exp.Paren():
            return constant(node.this)
        case exp.Array():
            return [constant(item) for item in node.expressions]
        case exp.Tuple():
            return tuple(constant(item) for item in node.expressions)
        case exp.Struct():
            return _struct(node)
        case exp.PropertyEQ():
            return constant(node.expression)
        case exp.Cast() if node.this.name.lower().lstrip("+-") in ("inf", "infinity"):
            return float(node.this.name)
        case exp.Cast() if isinstance(node.this, exp.Literal) and node.is_type(*exp.DataType.NUMERIC_TYPES):
            return _number(node.this.this)
        case exp.Column() if node.this.args.get("quoted"):
            raise NotConstantError(node.sql("duckdb"), "is a text in single quotes")
        case exp.Anonymous() if node.name.upper() == "GENERATE_ARRAY":
            return _series([constant(item) for item in node.expressions])
        case exp.GenerateSeries():
            return _series([constant(node.args[name]) for name in ("start", "end", "step") if node.args.get(name)])
        case _:
            raise NotConstantError(node.sql("duckdb"))


def _number(text: str) -> int | float:
    return float(text) if any(sign in text for sign in ".eE") else int(text)


def _struct(node: exp.Struct) -> Any:
    if all(isinstance(item, exp.PropertyEQ) for item in node.expressions):
        return {item.name.lower(): constant(item.expression) for item in node.expressions}
    return tuple(constant(item) for item in node.expressions)


def _series(bounds: list[Any]) -> list[float]:
    """Return the numbers in decimal steps, so that the tenth tenth is 1."""
    if len(bounds) not in (2, 3) or not all(isinstance(bound, (int, float)) for bound in bounds):
        raise NotConstantError("generate_array(first, last, step)")
    first, last, step = (Decimal(str(bound)) for bound in (*bounds, 1)[:3])
    if not step or (last - first) / step > _MOST_STEPS:
        raise NotConstantError(f"generate_array of {bounds}")
    return [float(first + step * index) for index in range(int((last - first) / step) + 1)]
