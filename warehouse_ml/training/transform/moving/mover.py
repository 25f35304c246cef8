"""The user's own expressions, from the SQL of one engine to that of the other, wherever both mean the same.

What may be moved is listed; whatever is not listed is refused. An expression that the engine of its training computes
for a row, the other one computes alike, NaN, infinity and NULL among the values. Where that engine stops at a row with
an error, such as an overflow, nothing is said of the other.
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlglot import exp

from warehouse_ml.scalar_sql import other_dialect
from warehouse_ml.training.transform.moving import choices, moments, numbers, texts
from warehouse_ml.training.transform.moving.marks import is_own, made_value
from warehouse_ml.training.transform.moving.values import (
    UnmovableError,
    Value,
    ValueKind,
    Ways,
    held,
    kind_of_type,
    nodes_of_64_bits,
    uncast,
)

__all__ = ["Mover"]

# Arguments that say in which dialect a node was read, and nothing of what it means for what is let through here.
_FLAGS = {
    *("safe", "typed", "ignore_nulls", "coalesce", "binary", "value_constructor", "struct_name_inheritance"),
    *("zero_start", "date_part_boundary"),
}
_WAYS: Ways = {**choices.WAYS, **numbers.WAYS, **texts.WAYS, **moments.WAYS}
_OTHER_INTEGERS = exp.DataType.INTEGER_TYPES - {exp.DataType.Type.BIGINT}


class Mover:
    """Writes the expressions of one engine for the other.

    Parameters
    ----------
    source : str
        The engine in whose SQL they are.
    columns : mapping of str to str
        The columns that they may read, with the engine's own types.
    """

    def __init__(self, source: str, columns: Mapping[str, str]) -> None:
        self.source = source
        self.target = other_dialect(source)
        self.positive: list[str] = []
        """Numbers, as they are written, that a condition around says to be above 0."""
        self.not_zero: list[str] = []
        self._columns = columns

    def moved(self, root: exp.Expr) -> exp.Expr:
        """Return a tree for the other engine; what is marked as a user's is put in its words, the rest stays.

        Raises
        ------
        UnmovableError
            At the first part that is not known to be the same there.
        """
        holder = exp.Paren(this=root.copy())
        self._inside(holder)
        moved: exp.Expr = holder.this
        return moved.unnest()

    def own(self, node: exp.Expr) -> Value:
        """Return a part of what a user has written, for the other engine."""
        made = made_value(node, node)
        if made is not None:
            return made_value(node, held(self._inside(node.copy()))) or made
        found = _WAYS.get(type(node))
        if found is None:
            raise UnmovableError(node)
        allowed, way = found
        if any(value and name not in _FLAGS and name not in allowed for name, value in node.args.items()):
            raise UnmovableError(node)
        return way(self, node)

    def condition(self, node: exp.Expr) -> Value:
        """Return a part that is true, false or null."""
        value = self.own(node)
        if value.kind not in ("bool", "null"):
            raise UnmovableError(node)
        return value

    def text(self, node: exp.Expr) -> Value:
        """Return a part that is a text."""
        value = self.own(node)
        if value.kind != "text":
            raise UnmovableError(node, "implicit-cast" if value.is_number else None)
        return value

    def double(self, node: exp.Expr) -> Value:
        """Return a part that is a double."""
        value = self.own(node)
        if value.kind != "double":
            raise UnmovableError(node.parent or node)
        return value

    def told(self, node: exp.Expr) -> str:
        """Return how a number is written, its cast to a double left out."""
        return uncast(node).sql(dialect=self.source)

    def kind_of(self, column: exp.Expr) -> ValueKind:
        """Return what a column is."""
        if column.name not in self._columns:
            raise UnmovableError(column)
        return kind_of_type(self._columns[column.name], self.source)

    def _inside(self, node: exp.Expr) -> exp.Expr:
        if is_own(node):
            return held(self.own(node).node)
        for name, value in list(node.args.items()):
            if isinstance(value, exp.Expr):
                node.set(name, self._inside(value))
            elif isinstance(value, list):
                node.set(name, [self._inside(one) if isinstance(one, exp.Expr) else one for one in value])
        return _narrowed(node)


def _narrowed(node: exp.Expr) -> exp.Expr:
    """Return a constant of as many bits as one engine has alone, 128 of DuckDB's sums for one, in 64."""
    if not isinstance(node, exp.Cast) or node.args["to"].this not in _OTHER_INTEGERS:
        return node
    if isinstance(node.this, exp.Literal) and abs(int(node.this.name)) >= 2**63:
        raise UnmovableError(node)
    return nodes_of_64_bits(node.this)
