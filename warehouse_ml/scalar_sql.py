"""Expressions of one row: read from text, checked to be nothing more, their columns found and qualified.

A frozen expression is data: it is stored with a model and becomes a part of every statement that scores. So what it
may be made of is listed here, and whatever is not listed is refused: no query, no relation, no aggregate, nothing that
answers differently tomorrow.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

__all__ = [
    "DIALECT",
    "Elsewhere",
    "columns_in",
    "is_element",
    "other_dialect",
    "parse_scalar",
    "qualified",
    "refusal",
    "scalar",
    "without_comments",
]

DIALECT = "duckdb"
"""The language in which frozen expressions are written down, unless another one is said."""

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
# GoogleSQL has no functions of lists: a query over the elements of one does what they would.
_OF_ELEMENTS = (
    *(exp.Select, exp.Subquery, exp.From, exp.Join, exp.Unnest, exp.TableAlias, exp.Where, exp.Order, exp.Ordered),
    *(exp.Distinct, exp.Alias, exp.AggFunc),
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


@dataclass(frozen=True)
class Elsewhere:
    """A frozen expression as the other engine has it, or why it has none.

    Parameters
    ----------
    expression : str, optional
        In the SQL of the other engine; None where it would not be the same there.
    place, reason, fix : str, optional
        File and line of what would differ, what is known of it, and what to write instead.
    """

    expression: str | None = None
    place: str | None = None
    reason: str | None = None
    fix: str | None = None


def other_dialect(dialect: str) -> str:
    """Return the language of the other engine."""
    return "bigquery" if dialect == DIALECT else DIALECT


def refusal(node: exp.Expr, dialect: str = DIALECT) -> str | None:
    """Return why a node cannot stand in an expression of one row, or None if it can; children are not looked at.

    In BigQuery's language a query over the elements of a list may: ``array(select ... from unnest(list) as one)``.
    """
    if dialect == "bigquery" and isinstance(node, _OF_ELEMENTS) and _is_of_elements(node):
        return None
    for types, what in _REFUSED:
        if isinstance(node, types):
            return what
    if isinstance(node, exp.Func) and _changes(node):
        return f"{node.sql(dialect=dialect)}, which changes from one moment to the next"
    if isinstance(node, exp.Column) and (node.table or isinstance(node.this, exp.Star)):
        return f"{node.sql(dialect=dialect)}, a column of a relation"
    if isinstance(node, exp.Dot) and isinstance(node.expression, exp.Func):
        return f"{node.sql(dialect=dialect)}, a function of a schema"
    if not isinstance(node, _ALLOWED):
        return f"what it may not hold: {type(node).__name__.lower()}"
    return None


def scalar(node: exp.Expr, dialect: str = DIALECT) -> str | None:
    """Return the first thing that keeps a tree from being an expression of one row, or None."""
    for part in node.walk():
        reason = refusal(part, dialect)
        if reason is not None:
            return reason
    return None


def parse_scalar(text: str, dialect: str = DIALECT) -> exp.Expr:
    """Read an expression of one row.

    Parameters
    ----------
    text : str
        Columns without a relation.
    dialect : str
        In whose SQL it is written.

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
    return _parsed(text, dialect).copy()


def columns_in(node: exp.Expr) -> list[str]:
    """Return the names of the columns of an expression, in order, once each; names of elements are none."""
    columns = node.find_all(exp.Column, bfs=False)
    return list(dict.fromkeys(column.name for column in columns if not is_element(column)))


def is_element(column: exp.Column) -> bool:
    """Whether a name stands for what a query around it takes out of a list."""
    around = column.find_ancestor(exp.Select)
    while around is not None:
        if column.name.lower() in _elements_of(around):
            return True
        around = around.find_ancestor(exp.Select)
    return False


def _elements_of(select: exp.Select) -> set[str]:
    """Return the names that a query over elements gives them."""
    source = select.args.get("from_")
    sources = [] if source is None else [source.this]
    sources += [join.this for join in select.args.get("joins") or ()]
    names: set[str] = set()
    for one in sources:
        alias, offset = one.args.get("alias"), one.args.get("offset")
        if isinstance(one, exp.Unnest):
            names.update(column.name for column in (alias.columns if alias else ()))
            names.update([offset.name] if isinstance(offset, exp.Identifier) else ["offset"] if offset else [])
        elif isinstance(one, exp.Subquery) and isinstance(one.this, exp.Select):
            names.update(projection.alias for projection in one.this.expressions)
    return {name.lower() for name in names}


def _is_of_elements(node: exp.Expr) -> bool:
    """Whether a node is, or is a part of, a query that reads elements and nothing else."""
    if isinstance(node, exp.Unnest) and isinstance(node.parent, exp.In):
        return True
    inner = node.this if isinstance(node, exp.Subquery) else node
    select = inner if isinstance(inner, exp.Select) else node.find_ancestor(exp.Select)
    return select is not None and select.find(exp.Unnest) is not None and select.find(exp.Table) is None


def qualified(node: exp.Expr, table: str | None) -> exp.Expr:
    """Return the expression with its columns taken from a relation; the tree is changed in place."""
    if table is None:
        return node
    for column in [column for column in node.find_all(exp.Column) if not is_element(column)]:
        column.set("table", exp.Identifier(this=table, quoted=True))
    return node


def without_comments(node: exp.Expr) -> exp.Expr:
    """Return the expression without the comments written in it; the tree is changed in place."""
    for part in node.walk():
        part.comments = None
    return node


@lru_cache(maxsize=4096)
def _parsed(text: str, dialect: str) -> exp.Expr:
    try:
        tree = sqlglot.parse_one(text, read=dialect, into=exp.Expr)
    except SqlglotError as error:
        raise ValueError(f"does not parse: {str(error).splitlines()[0]}") from None
    reason = scalar(tree, dialect)
    if reason is not None:
        raise ValueError(f"holds {reason}")
    return without_comments(tree)


def _changes(node: exp.Func) -> bool:
    name = (node.name if isinstance(node, exp.Anonymous) else node.sql_name()).lower()
    # With one argument the age is counted from today.
    is_age = name == "age" and len(node.expressions) == 1
    return is_age or name in _CHANGING_NAMES or name.startswith(_CHANGING)
