"""What exists instead of a column that a statement names in vain.

The warehouse says where a statement went wrong; which columns the relation at that place has is looked up here.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.scope import Scope, traverse_scope
from sqlglot.tokenizer_core import Token, TokenType

from warehouse_ml.dialect import MlCall, dialect_of
from warehouse_ml.errors import SqlError, WmlError, did_you_mean
from warehouse_ml.warehouses.base import Warehouse

__all__ = ["diagnosed"]


def diagnosed(error: SqlError, warehouse: Warehouse) -> SqlError:
    """Return the error with the columns that are there, if it is about one that is not.

    Parameters
    ----------
    error : SqlError
        As the warehouse raised it, with its SQL and position.
    warehouse : Warehouse
        Asked for the columns of relations, so no failed transaction may be open; the failed statement is not run
        again.
    """
    if error.sql is None or error.position is None:
        return error
    try:
        path = _name_at(error.sql, error.position, warehouse.engine)
        with _quiet():
            tree = sqlglot.parse_one(error.sql, read=dialect_of(warehouse.engine))
        found = _columns_around(tree, path, warehouse)
    except (SqlglotError, WmlError):
        return error
    if not path or not found:
        return error
    relation, columns = found
    if path[-1].lower() in {column.lower() for column in columns}:
        return error
    return SqlError(
        f'no column "{path[-1]}" in {relation}',
        sql=error.sql,
        line=error.line,
        position=error.position,
        place=error.place,
        has=columns,
        hint=did_you_mean(path[-1], columns),
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the parser from telling the user which statements it passes on as they are."""
    logger = logging.getLogger("sqlglot")
    was = logger.disabled
    logger.disabled = True
    try:
        yield
    finally:
        logger.disabled = was


def _name_at(sql: str, position: int, engine: str) -> list[str]:
    """Return the dotted name that starts at a position, part by part."""
    tokens = sqlglot.tokenize(sql, read=engine)
    index = next((index for index, token in enumerate(tokens) if token.start == position), None)
    if index is None:
        return []
    parts = [_text(tokens[index])]
    while index + 2 < len(tokens) and tokens[index + 1].token_type == TokenType.DOT:
        index += 2
        parts.append(_text(tokens[index]))
    return parts


def _text(token: Token) -> str:
    return str(token.text)


def _columns_around(tree: exp.Expr, path: list[str], warehouse: Warehouse) -> tuple[str, list[str]] | None:
    """Return what the query that uses a name could have meant: a relation (or all of them) and its columns."""
    query = tree.find(exp.Query)
    if not path or query is None:
        return None
    for scope in traverse_scope(query):
        for column in scope.columns:
            if column.name.lower() != path[-1].lower():
                continue
            wanted = column.table
            sources = [name for name in scope.sources if not wanted or name.lower() == wanted.lower()]
            columns = [column for name in sources for column in _columns_of(scope.sources[name], warehouse)]
            if columns:
                return wanted or ", ".join(sources), list(dict.fromkeys(columns))
    return None


def _columns_of(source: exp.Expr | Scope, warehouse: Warehouse) -> Iterator[str]:
    if isinstance(source, Scope):
        query = source.expression
        yield from (name for name in query.named_selects if name != "*") if isinstance(query, exp.Query) else ()
        return
    if source.find(MlCall):
        # What a function yields is known to the warehouse, which has named what is near.
        return
    bare = source.copy()
    bare.set("alias", None)
    yield from warehouse.columns(exp.select("*").from_(bare).sql(dialect=warehouse.engine))
