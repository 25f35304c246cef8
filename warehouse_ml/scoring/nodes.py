"""Small sqlglot nodes that every scoring expression is made of."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from sqlglot import exp

__all__ = [
    "INPUT",
    "LARGEST",
    "case",
    "column",
    "double",
    "kept",
    "lookup",
    "number",
    "projection",
    "select_from",
    "text",
    "total",
]

INPUT = "wml_input"
"""What the relation to be scored is called inside the query."""

LARGEST = 1.7976931348623157e308
"""The largest finite double."""

_BLOCK = 16


def number(value: float) -> exp.Expr:
    """Return a double as a literal that reads back as the same 64 bits on every engine.

    Raises
    ------
    ValueError
        If the value is not finite: there is no literal for it.
    """
    if not math.isfinite(value):
        raise ValueError(f"{value} has no literal")
    digits = repr(abs(value))
    # A bare 0.1 is a decimal in DuckDB; the exponent makes it a double.
    literal = exp.Literal(this=digits if "e" in digits else f"{digits}e0", is_string=False)
    return exp.Neg(this=literal) if math.copysign(1.0, value) < 0 else literal


def infinity(sign: str = "") -> exp.Expr:
    """Return an infinite double, which only a cast can write."""
    return double(text(f"{sign}inf"))


def text(value: str) -> exp.Literal:
    """Return a string literal."""
    return exp.Literal.string(value)


def column(name: str, table: str | None = None) -> exp.Column:
    """Return a quoted column."""
    qualifier = _identifier(table) if table is not None else None
    return exp.Column(this=_identifier(name), table=qualifier)


def _identifier(name: str) -> exp.Identifier:
    # Made thousands of times in a forest: the helpers of sqlglot copy and check, which is most of their time.
    return exp.Identifier(this=name, quoted=True)


def double(node: exp.Expr) -> exp.Expr:
    """Return the expression cast to double."""
    return exp.Cast(this=node, to=exp.DataType(this=exp.DataType.Type.DOUBLE))


def case(branches: Iterable[tuple[exp.Expr, exp.Expr]], default: exp.Expr | None = None) -> exp.Case:
    """Return ``case when ... then ... else ... end``."""
    return exp.Case(ifs=[exp.If(this=when, true=then) for when, then in branches], default=default)


def total(terms: Sequence[exp.Expr]) -> exp.Expr:
    """Return the sum of the terms from left to right, the order in which the arrays are added."""
    result = terms[0]
    for term in terms[1:]:
        result = exp.Add(this=result, expression=term)
    return result


def lookup(subject: exp.Expr, keys: Sequence[str], values: Sequence[float], default: float) -> exp.Expr:
    """Return the value that belongs to a text, or the default for another text and for NULL.

    Long lists are halved until they are short, so that ten thousand keys cost some thirty comparisons; an ``in`` or a
    join would need a second relation.

    Parameters
    ----------
    subject : exp.Expr
        A text.
    keys : sequence of str
        In ascending order of code points, which is the binary order of UTF-8.
    values : sequence of float
        One for each key.
    default : float
        For everything else.
    """
    if len(keys) <= _BLOCK:
        if not keys:
            return number(default)
        ifs = [exp.If(this=text(key), true=number(value)) for key, value in zip(keys, values, strict=True)]
        return exp.Case(this=subject.copy(), ifs=ifs, default=number(default))
    middle = len(keys) // 2
    below = exp.LT(this=subject.copy(), expression=text(keys[middle]))
    return case(
        [(below, lookup(subject, keys[:middle], values[:middle], default))],
        lookup(subject, keys[middle:], values[middle:], default),
    )


def kept(keep: Iterable[str], table: str | None = None) -> list[exp.Expr]:
    """Return the columns that pass through."""
    return [column(name, table) for name in keep]


def projection(node: exp.Expr, name: str) -> exp.Expr:
    """Return ``node as "name"``."""
    return exp.Alias(this=node, alias=_identifier(name))


def select_from(projections: Sequence[exp.Expr], source: exp.Expr, name: str = INPUT) -> exp.Select:
    """Return a query over a table or another query, which is called ``name`` inside; neither is copied."""
    alias = exp.TableAlias(this=_identifier(name))
    if isinstance(source, exp.Subquery):
        source = source.this
    if isinstance(source, exp.Query):
        source = exp.Subquery(this=source, alias=alias)
    else:
        source.set("alias", alias)
    return exp.Select(expressions=list(projections), from_=exp.From(this=source))
