"""Queries over the elements of a list, for an engine without functions that take a function: GoogleSQL.

They read nothing but the list that they are given. A name that an element has inside of them is bound by them.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from warehouse_ml.scoring import nodes

__all__ = ["each", "folded", "listed", "ngrams", "of", "select"]

_PLACE = exp.to_identifier("wml_place")


def of(items: exp.Expr, element: exp.Identifier, place: exp.Identifier | None = None) -> exp.Unnest:
    """Return the elements of a list as rows, to stand in a FROM clause; ``place`` counts them, from 0."""
    alias = exp.TableAlias(columns=[element.copy()])
    return exp.Unnest(expressions=[items], alias=alias, offset=place.copy() if place is not None else None)


def select(projections: Sequence[exp.Expr], *sources: exp.Expr) -> exp.Select:
    """Return a query over sources, each with each."""
    joins = [exp.Join(this=source, kind="CROSS") for source in sources[1:]]
    return exp.Select(expressions=list(projections), from_=exp.From(this=sources[0]), joins=joins)


def listed(query: exp.Select, order: Sequence[exp.Expr] = ()) -> exp.Expr:
    """Return the rows of a query, of one column, as a list."""
    if order:
        ordered = [exp.Ordered(this=key.copy(), nulls_first=True) for key in order]
        query.set("order", exp.Order(expressions=ordered))
    return exp.Array(expressions=[query])


def each(items: exp.Expr, element: exp.Identifier, result: exp.Expr) -> exp.Expr:
    """Return the list of what each element becomes."""
    return listed(select([result], of(items, element, _PLACE)), [_PLACE])


def folded(aggregate: str, items: exp.Expr, element: exp.Identifier, value: exp.Expr) -> exp.Expr:
    """Return an aggregate of a value over the elements of a list."""
    return exp.Subquery(this=select([exp.Anonymous(this=aggregate, expressions=[value])], of(items, element)))


def ngrams(texts: exp.Expr, sizes: tuple[int, int], separator: str) -> exp.Expr:
    """Return the runs of neighbouring elements, by their start and then by their length; NULL elements are left out."""
    token, start, length = (exp.to_identifier(name) for name in ("wml_token", "wml_start", "wml_length"))
    known = select([token], of(texts, token.copy(), _PLACE))
    known.where(exp.Not(this=exp.Is(this=token.copy(), expression=exp.Null())), copy=False)
    tokens = listed(known, [_PLACE])
    n_tokens = exp.Anonymous(this="ARRAY_LENGTH", expressions=[tokens.copy()])
    after = exp.Add(this=start.copy(), expression=length.copy())
    run = select([token.copy()], of(tokens, token.copy(), _PLACE))
    run.where(exp.GTE(this=_PLACE.copy(), expression=start.copy()), copy=False)
    run.where(exp.LT(this=_PLACE.copy(), expression=after), copy=False)
    joined = exp.Anonymous(this="ARRAY_TO_STRING", expressions=[listed(run, [_PLACE]), nodes.text(separator)])
    last = exp.Sub(this=n_tokens, expression=exp.Literal.number(1))
    starts = of(_counted(exp.Literal.number(0), last), start)
    lengths = of(_counted(*(exp.Literal.number(size) for size in sizes)), length)
    runs = select([joined], starts, lengths)
    runs.where(exp.LTE(this=after.copy(), expression=n_tokens.copy()), copy=False)
    return listed(runs, [start, length])


def _counted(first: exp.Expr, last: exp.Expr) -> exp.Expr:
    return exp.Anonymous(this="GENERATE_ARRAY", expressions=[first, last])
