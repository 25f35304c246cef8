"""Expressions of one row: read from text, checked to be nothing more, their columns found and qualified.

A frozen expression is data: it is stored with a model and becomes a part of every statement that scores. So what it
may be made of is listed here, and whatever is not listed is refused: no query, no relation, no aggregate, nothing that
answers differently tomorrow.
"""

from __future__ import annotations

from functools import lru_cache

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

__all__ = ["DIALECT", "columns_in", "parse_scalar", "qualified", "refusal", "scalar", "without_comments"]

DIALECT = "duckdb"
"""The language in which frozen expressions are written down."""

_ALLOWED = (
    exp.Condition,
    exp.Func,
    exp.Alias,
    exp.AtTimeZone,
    exp.ColumnDef,
    exp.DataType,
    exp.DataTypeParam,
    exp.Identifier,
    exp.Interval,
    exp.JSONPath,
    exp.JSONPathPart,
    exp.Lambda,
    exp.Slice,
    exp.Tuple,
    exp.Var,
)
_REFUSED: tuple[tuple[tuple[type[exp.Expr], ...], str], ...] = (
    ((exp.Query, exp.SubqueryPredicate, exp.Table), "a query inside an expression"),
    ((exp.Window,), "a window"),
    ((exp.AggFunc,), "an aggregate"),
    ((exp.UDTF, exp.Explode, exp.Inline), "a function that makes rows"),
    ((exp.Star, exp.Columns), "a star"),
    ((exp.Placeholder, exp.Parameter, exp.SessionParameter), "a parameter"),
    ((exp.Alias,), "a name inside an expression"),
)
# Functions that read files, the clock, the session, a sequence or a dice, by the first letters of their names.
_CHANGING = (
    *("duckdb_", "glob", "parquet_", "pragma_", "query", "read_", "sniff_"),
    *("current", "get_current", "getenv", "getvariable", "has_", "inet_", "local_time", "localtime", "next_value"),
    *("nextval", "now", "pg_", "rand", "seq", "session", "set", "sys", "transaction_timestamp", "txid", "utc_", "uuid"),
)
_CHANGING_NAMES = frozenset(
    {
        *(
            "ago",
            "currval",
            "error",
            "gen_random_uuid",
            "get_block_size",
            "in_search_path",
            "sleep_ms",
            "stats",
            "today",
        ),
        *("user", "vector_type", "version", "write_log"),
    }
)


def refusal(node: exp.Expr) -> str | None:
    """Return why a node cannot stand in an expression of one row, or None if it can; children are not looked at."""
    for types, what in _REFUSED:
        if isinstance(node, types):
            return what
    if isinstance(node, exp.Func) and _changes(node):
        return f"{node.sql(dialect=DIALECT)}, which changes from one moment to the next"
    if isinstance(node, exp.Column) and (node.table or isinstance(node.this, exp.Star)):
        return f"{node.sql(dialect=DIALECT)}, a column of a relation"
    if isinstance(node, exp.Dot) and isinstance(node.expression, exp.Func):
        return f"{node.sql(dialect=DIALECT)}, a function of a schema"
    if not isinstance(node, _ALLOWED):
        return f"what it may not hold: {type(node).__name__.lower()}"
    return None


def scalar(node: exp.Expr) -> str | None:
    """Return the first thing that keeps a tree from being an expression of one row, or None."""
    for part in node.walk():
        reason = refusal(part)
        if reason is not None:
            return reason
    return None


def parse_scalar(text: str) -> exp.Expr:
    """Read an expression of one row.

    Parameters
    ----------
    text : str
        In DuckDB's SQL; columns without a relation.

    Returns
    -------
    exp.Expr
        A tree of the caller's own.

    Raises
    ------
    ValueError
        If it is not one expression, or has a query, a window, an aggregate, a parameter, a qualified column or a
        function in it whose answer changes.
    """
    return _parsed(text).copy()


def columns_in(node: exp.Expr) -> list[str]:
    """Return the names of the columns of an expression, in order, once each; parameters of lambdas are none."""
    return list(dict.fromkeys(column.name for column in node.find_all(exp.Column, bfs=False)))


def qualified(node: exp.Expr, table: str | None) -> exp.Expr:
    """Return the expression with its columns taken from a relation; the tree is changed in place."""
    if table is None:
        return node
    for column in node.find_all(exp.Column):
        column.set("table", exp.Identifier(this=table, quoted=True))
    return node


def without_comments(node: exp.Expr) -> exp.Expr:
    """Return the expression without the comments written in it; the tree is changed in place."""
    for part in node.walk():
        part.comments = None
    return node


@lru_cache(maxsize=4096)
def _parsed(text: str) -> exp.Expr:
    try:
        tree = sqlglot.parse_one(text, read=DIALECT, into=exp.Expr)
    except SqlglotError as error:
        raise ValueError(f"does not parse: {str(error).splitlines()[0]}") from None
    reason = scalar(tree)
    if reason is not None:
        raise ValueError(f"holds {reason}")
    return without_comments(tree)


def _changes(node: exp.Func) -> bool:
    name = (node.name if isinstance(node, exp.Anonymous) else node.sql_name()).lower()
    # With one argument the age is counted from today.
    is_age = name == "age" and len(node.expressions) == 1
    return is_age or name in _CHANGING_NAMES or name.startswith(_CHANGING)
