"""Which partitions a statement reads: a scan of a table is told by what the statement says of its column of times."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import sqlglot
from sqlglot import exp

_FROM_ON = (exp.GT, exp.GTE)
_UP_TO = (exp.LT, exp.LTE)
_MIRRORED = {exp.GT: exp.LT, exp.GTE: exp.LTE, exp.LT: exp.GT, exp.LTE: exp.GTE, exp.EQ: exp.EQ}


@dataclass(frozen=True)
class Scan:
    """One reading of a table.

    Parameters
    ----------
    table : str
        Its name in lower case, without a dataset.
    is_from : bool
        Whether rows before a constant are left out.
    is_until : bool
        Whether rows after a constant are left out.
    is_named : bool
        Whether a condition on the column of times stands beside it at all, which is what a table wants that is read
        with a filter alone.
    is_counted_alone : bool
        Whether nothing but the number of all its rows is asked for, which reads no column.
    """

    table: str
    is_from: bool
    is_until: bool
    is_named: bool
    is_counted_alone: bool


def scans(sql: str, fields: Mapping[str, str]) -> list[Scan]:
    """Return each reading of the named tables in a statement.

    Parameters
    ----------
    sql : str
        In GoogleSQL.
    fields : mapping of str to str
        The tables to look for, in lower case, and the columns that their partitions are of.

    Notes
    -----
    A condition counts if it compares the column with a constant: literals, parameters, and what is made of them; not
    with another column, nor with a query's answer, by which BigQuery leaves out nothing. It may stand outside of a
    subquery that hands the column on as it is, as BigQuery moves conditions inwards.
    """
    found: list[Scan] = []
    if not any(name in sql.lower() for name in fields):
        return found
    for tree in sqlglot.parse(sql, read="bigquery"):
        for table in tree.find_all(exp.Table) if tree is not None else ():
            name = table.name.split(".")[-1].lower()
            if name not in fields or _is_written(table):
                continue
            lower, upper, is_named = _bounds(table, fields[name].lower())
            found.append(Scan(name, lower, upper, is_named, _is_counted_alone(table)))
    return found


def _is_written(table: exp.Table) -> bool:
    """Whether a table is the one that a statement writes to, and not one that it reads."""
    parent = table.parent
    if isinstance(parent, exp.Schema):
        parent = parent.parent
    return isinstance(parent, exp.Drop) or (
        isinstance(parent, (exp.Insert, exp.Create, exp.Alter)) and table.arg_key == "this"
    )


def _bounds(source: exp.Expr, column: str) -> tuple[bool, bool, bool]:
    """Return whether the rows of a source are cut below and above by the conditions around it, and named in one."""
    lower = upper = is_named = False
    named = source.alias_or_name.lower()
    around = source.find_ancestor(exp.Select, exp.Delete)
    while around is not None:
        for kind, is_constant in _comparisons(around, named, column):
            lower |= is_constant and kind in (*_FROM_ON, exp.EQ)
            upper |= is_constant and kind in (*_UP_TO, exp.EQ)
        where = around.args.get("where")
        is_named |= where is not None and any(_is_column(node, named, column) for node in where.find_all(exp.Column))
        outside = _outside(around, named, column)
        if outside is None:
            break
        around, named, column = outside
    return lower, upper, is_named


def _comparisons(around: exp.Expr, named: str, column: str) -> Iterator[tuple[type[exp.Expr], bool]]:
    conditions = [around.args["where"].this] if around.args.get("where") else []
    for join in around.args.get("joins") or []:
        # What a left join does not find stays all the same.
        if join.args.get("on") and not join.side:
            conditions.append(join.args["on"])
    for condition in conditions:
        for each in condition.flatten() if isinstance(condition, exp.And) else [condition]:
            part = each.unnest()
            if isinstance(part, exp.Between) and _is_column(part.this, named, column):
                yield exp.GTE, _is_constant(part.args["low"])
                yield exp.LTE, _is_constant(part.args["high"])
            if type(part) in _MIRRORED:
                if _is_column(part.left, named, column):
                    yield type(part), _is_constant(part.right)
                elif _is_column(part.right, named, column):
                    yield _MIRRORED[type(part)], _is_constant(part.left)


def _outside(around: exp.Expr, named: str, column: str) -> tuple[exp.Expr, str, str] | None:
    """Return the query that reads this one, and what the source and its column are called there."""
    if not isinstance(around, exp.Select):
        return None
    if any(around.args.get(part) for part in ("limit", "offset", "qualify")):
        return None
    passed = None
    for projection in around.expressions:
        if isinstance(projection.unalias(), exp.Star) or (
            isinstance(projection, exp.Column)
            and isinstance(projection.this, exp.Star)
            and projection.table.lower() == named
        ):
            passed = column
        elif _is_column(projection.unalias(), named, column):
            passed = projection.alias_or_name.lower()
    if passed is None:
        return None
    holder = around.parent
    while isinstance(holder, (exp.SetOperation, exp.Paren)):
        holder = holder.parent
    if not isinstance(holder, (exp.Subquery, exp.CTE)):
        return None
    if isinstance(holder, exp.Subquery):
        outer = holder.find_ancestor(exp.Select)
        return None if outer is None else (outer, holder.alias_or_name.lower(), passed)
    readers = [
        table
        for table in holder.root().find_all(exp.Table)
        if table.name.lower() == holder.alias.lower() and not table.db and table.find_ancestor(exp.CTE) is not holder
    ]
    # Of several readers each would have to be looked at.
    if len(readers) != 1 or (outer := readers[0].find_ancestor(exp.Select)) is None:
        return None
    return outer, readers[0].alias_or_name.lower(), passed


def _is_column(node: exp.Expr, named: str, column: str) -> bool:
    return (
        isinstance(node, exp.Column) and node.name.lower() == column and (not node.table or node.table.lower() == named)
    )


def _is_constant(node: exp.Expr) -> bool:
    return not any(node.find_all(exp.Column, exp.Query))


def _is_counted_alone(table: exp.Table) -> bool:
    query = table.find_ancestor(exp.Select)
    if query is None or len(query.expressions) != 1:
        return False
    if any(query.args.get(part) for part in ("where", "joins", "group", "having", "qualify")):
        return False
    counted = query.expressions[0].unalias()
    return isinstance(counted, exp.Count) and isinstance(counted.this, exp.Star)
