"""The user's SQL as tokens and as a tree whose nodes know where they stand."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sqlglot import exp
from sqlglot.dialects.dialect import Dialect
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.annotate_types import annotate_types
from sqlglot.parser import Parser
from sqlglot.tokenizer_core import Token

from warehouse_ml.dialect import WmlBigQuery, WmlBigQueryParser, WmlDuckDB, WmlDuckDBParser, start_of

__all__ = ["Reading", "read"]


class _Placing(Parser):
    """Notes where functions, types and orders begin and end, and of all else a place near by."""

    def expression(self, instance: Any, token: Token | None = None, comments: list[str] | None = None) -> Any:
        node = super().expression(instance, token, comments)
        node.meta.setdefault("wml_near", self._prev.start if self._prev else 0)
        return node

    def _parse_function(self, *args: Any, **kwargs: Any) -> exp.Expr | None:
        first = self._curr
        node = super()._parse_function(*args, **kwargs)
        self._place(node, first)
        return node

    def _parse_types(self, *args: Any, **kwargs: Any) -> exp.Expr | None:
        first = self._curr
        node = super()._parse_types(*args, **kwargs)
        self._place(node, first)
        return node

    def _parse_ordered(self, *args: Any, **kwargs: Any) -> exp.Ordered | None:
        index = self._index
        node = super()._parse_ordered(*args, **kwargs)
        if node is not None:
            node.meta["wml_says_nulls"] = any(
                token.text.upper() == "NULLS" for token in self._tokens[index : self._index]
            )
        return node

    def _place(self, node: exp.Expr | None, first: Token | None) -> None:
        if node is not None and first is not None and "wml_start" not in node.meta:
            node.meta["wml_start"] = first.start
            node.meta["wml_end"] = self._prev.end + 1 if self._prev else first.end + 1


class _DuckDBParser(_Placing, WmlDuckDBParser):
    pass


class _BigQueryParser(_Placing, WmlBigQueryParser):
    pass


class _DuckDB(WmlDuckDB):
    Parser = _DuckDBParser


class _BigQuery(WmlBigQuery):
    Parser = _BigQueryParser


_DIALECTS: dict[str, type[Dialect]] = {"duckdb": _DuckDB, "bigquery": _BigQuery}


@dataclass
class Reading:
    """A statement in an engine's language.

    Parameters
    ----------
    sql : str
    engine : str
    tokens : list of Token
    tree : exp.Expr
        With types as far as the statement itself tells them.
    """

    sql: str
    engine: str
    tokens: list[Token]
    tree: exp.Expr
    _nodes: list[exp.Expr] = field(default_factory=list)

    @property
    def nodes(self) -> list[exp.Expr]:
        """Every node."""
        if not self._nodes:
            self._nodes = list(self.tree.walk())
        return self._nodes

    def place(self, node: exp.Expr) -> int:
        """Return where a node stands, or the nearest place that is known."""
        known = node.meta.get("wml_start")
        if known is not None:
            return int(known)
        start = start_of(node)
        near = node.meta.get("wml_near")
        return start if start is not None else int(near or 0)

    def text(self, node: exp.Expr) -> str:
        """Return a node as it is written, if that is known."""
        start, end = node.meta.get("wml_start"), node.meta.get("wml_end")
        return "" if start is None or end is None else self.sql[start:end]


def read(sql: str, engine: str) -> Reading | None:
    """Read a statement, or return None if it is none of the engine's language."""
    dialect = _DIALECTS[engine]()
    try:
        tokens = dialect.tokenize(sql)
        trees = [tree for tree in dialect.parse(sql) if tree is not None]
    except SqlglotError:
        return None
    if len(trees) != 1 or isinstance(trees[0], exp.Command):
        return None
    return Reading(sql, engine, tokens, _typed(trees[0], engine))


def _typed(tree: exp.Expr, engine: str) -> exp.Expr:
    try:
        return annotate_types(tree, dialect=engine)
    except SqlglotError:
        return tree
