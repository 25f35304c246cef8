"""Nodes that engines spell differently, so that one tree is right on each of them.

DuckDB's arithmetic is IEEE 754's: an overflow is infinite, 0 / 0 is NaN, NaN equals itself and is larger than all
else. GoogleSQL's fails on overflow and on division by zero, and compares NaN with nothing. What is built of these nodes
is written for DuckDB as the plain operator, and for BigQuery as what comes to the same.

==================  ======================  ================================================================
node                DuckDB                  BigQuery
==================  ======================  ================================================================
``Spelled``         its first tree          its second tree
``Quotient``        ``a / b``               ``IEEE_DIVIDE(a, b)``
``Product``         ``a * b``               the product, or infinity of its sign where it overflows
``Square``          ``a * a``               the square, or infinity where ``a`` is beyond a bound
``Scaled``          ``a``                   ``a`` by 2^-512, exactly: of 1e300 a sum no longer overflows
``Unscaled``        ``a``                   ``a`` by 2^512, infinite where that overflows
``Same``            ``a = b``               ``a IS NOT DISTINCT FROM b``: NaN is NaN
``Sum``             ``a + b``               the sum, or infinity of its sign where it overflows
``Difference``      ``a - b``               the difference, or infinity of its sign where it overflows
``Written``         as it was written, by the engine in whose SQL that is; by the other one as it was moved there when
                    it was frozen, or not at all
==================  ======================  ================================================================
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from sqlglot import exp, generator
from sqlglot.generator import Generator

from warehouse_ml.errors import ArtifactError, DataError
from warehouse_ml.scalar_sql import columns_in, other_dialect, parse_scalar, qualified

__all__ = ["Difference", "Product", "Quotient", "Same", "Scaled", "Spelled", "Square", "Sum", "Unscaled", "Written"]

_SCALE = "7.458340731200207e-155"
_INFINITY = "CAST('inf' AS FLOAT64)"


class Spelled(exp.Expression, exp.Condition):
    """An expression in two spellings: ``this`` everywhere but on BigQuery."""

    arg_types: ClassVar = {"this": True, "bigquery": True}


class Quotient(exp.Div):
    """A quotient that may be infinite or NaN."""


class Product(exp.Mul):
    """A product that may be infinite; null where a factor is."""


class Sum(exp.Add):
    """A sum that may be infinite; null where a term is."""


class Difference(exp.Sub):
    """A difference that may be infinite; null where a term is."""


class Square(exp.Expression, exp.Condition):
    """The square of ``this``, one of ``n_terms`` that are added; infinite where they might not have a finite sum."""

    arg_types: ClassVar = {"this": True, "n_terms": True}


class Scaled(exp.Expression, exp.Condition):
    """A term of a sum that may be infinite, or what is multiplied to make one."""

    arg_types: ClassVar = {"this": True}


class Unscaled(exp.Expression, exp.Condition):
    """The sum of scaled terms."""

    arg_types: ClassVar = {"this": True}


class Same(exp.EQ):
    """Equal numbers, NaN among them."""


class Written(exp.Expression, exp.Condition):
    """An expression of a user's, ``this``, in one engine's SQL; ``elsewhere`` it is another text, over ``table``."""

    arg_types: ClassVar = {"this": True, "dialect": True, "elsewhere": False, "table": False}


def _written(self: Generator, node: exp.Expr) -> str:
    is_googles = node.args["dialect"] == "bigquery"
    if type(self) is Generator or is_googles == _is_google(type(self)):
        return self.sql(node, "this")
    elsewhere = node.args.get("elsewhere")
    theirs, ours = ("BigQuery", "DuckDB") if is_googles else ("DuckDB", "BigQuery")
    if elsewhere is None:
        raise DataError(
            f"the expressions of TRANSFORM were trained on {theirs} and are in its SQL, which {ours} does not run",
            hint=f"train the model on {ours}: its TRANSFORM is read as {ours}'s SQL there",
        )
    if elsewhere.expression is None:
        fix = f"write {elsewhere.fix}, and train again; or " if elsewhere.fix else ""
        raise DataError(
            f"TRANSFORM was trained on {theirs}, and {ours} does not read all of it alike: {elsewhere.reason}",
            place=elsewhere.place,
            hint=f"{fix}train the model on {ours}",
        )
    try:
        tree = parse_scalar(elsewhere.expression, other_dialect(node.args["dialect"]))
    except ValueError as error:
        raise _forged(f"is more than an expression of one row: it {error}") from None
    if not set(columns_in(tree)) <= set(columns_in(node.this)):
        raise _forged("reads a column that the one of its training does not")
    return self.sql(qualified(tree, node.args.get("table")))


def _forged(what: str) -> ArtifactError:
    return ArtifactError(
        f'an expression in the table "elsewhere" of the parameters {what}', hint="train the model again"
    )


def _of_this(self: Generator, node: exp.Expr) -> str:
    return self.sql(node, "this")


def _square(self: Generator, node: exp.Expr) -> str:
    return f"{self.sql(node, 'this')} * {self.sql(node, 'this')}"


def _google_product(self: Generator, node: exp.Expr) -> str:
    left, right = self.sql(node.args["this"].unnest()), self.sql(node.args["expression"].unnest())
    return f"COALESCE(SAFE_MULTIPLY({left}, {right}), SIGN({left}) * SIGN({right}) * {_INFINITY})"


def _google_sum(self: Generator, node: exp.Expr) -> str:
    name = "SAFE_ADD" if isinstance(node, Sum) else "SAFE_SUBTRACT"
    left, right = self.sql(node.args["this"].unnest()), self.sql(node.args["expression"].unnest())
    # Where it overflows, the sign is the first one's.
    return f"COALESCE({name}({left}, {right}), SIGN({left}) * ABS(SIGN({right})) * {_INFINITY})"


def _google_square(self: Generator, node: exp.Expr) -> str:
    value = self.sql(node, "this")
    # The sum of that many squares of this bound is at most the largest double.
    bound = f"{(1.7e308 / max(1, int(node.args['n_terms']))) ** 0.5:.3e}"
    return f"CASE WHEN ABS({value}) <= {bound} THEN {value} * {value} ELSE {_INFINITY} END"


def _google_scaled(self: Generator, node: exp.Expr) -> str:
    return f"({self.sql(node, 'this')} * {_SCALE})"


_Write = Callable[[Any, Any], str]

_WRITTEN: dict[type[exp.Expr], tuple[_Write, _Write]] = {
    Spelled: (_of_this, lambda self, node: self.sql(node, "bigquery")),
    Quotient: (
        lambda self, node: self.div_sql(node),
        lambda self, node: self.func("IEEE_DIVIDE", node.this.unnest(), node.expression.unnest()),
    ),
    Product: (lambda self, node: self.binary(node, "*"), _google_product),
    Sum: (lambda self, node: self.binary(node, "+"), _google_sum),
    Difference: (lambda self, node: self.binary(node, "-"), _google_sum),
    Square: (_square, _google_square),
    Scaled: (_of_this, _google_scaled),
    Unscaled: (
        _of_this,
        lambda self, node: self.func("IEEE_DIVIDE", node.this.unnest(), exp.Literal.number(_SCALE)),
    ),
    Written: (_written, _written),
    Same: (
        lambda self, node: self.binary(node, "="),
        lambda self, node: self.binary(node, "IS NOT DISTINCT FROM"),
    ),
}


def _is_google(writer: type[Generator]) -> bool:
    return any(kind.__module__.endswith(".bigquery") for kind in writer.__mro__)


def _chosen(ours: _Write, googles: _Write) -> _Write:
    return lambda self, node: (googles if _is_google(type(self)) else ours)(self, node)


def _teach(writer: type[Generator]) -> None:
    # A dialect that is loaded later takes its table from this one. Beside the tables sqlglot keeps a cache that nothing
    # public empties, and that is filled already where a tree was written before: tests/scoring/test_spelled.py.
    writer.TRANSFORMS.update({kind: _chosen(*both) for kind, both in _WRITTEN.items()})
    getattr(generator, "_DISPATCH_CACHE", {}).pop(writer, None)
    for further in writer.__subclasses__():
        _teach(further)


_teach(Generator)
