"""An expression of TRANSFORM as it is kept: as the engine of its training has it, and as the other one does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlglot import exp

from warehouse_ml.scalar_sql import Elsewhere, columns_in, other_dialect, parse_scalar
from warehouse_ml.training.transform.moving.mover import Mover
from warehouse_ml.training.transform.moving.values import UnmovableError
from warehouse_ml.transform_clause import TransformItem

__all__ = ["Moved", "texts_of"]

_NAMES = {"duckdb": "DuckDB", "bigquery": "BigQuery"}
# What overflows is written twice and more, and so are the sums that it is a part of.
_MOST_CHARACTERS = 100_000
_SHOWN = 60


@dataclass(frozen=True)
class Moved:
    """An expression on both engines.

    Parameters
    ----------
    text : str
        As the engine of its training has it.
    elsewhere : Elsewhere
        As the other one does.
    """

    text: str
    elsewhere: Elsewhere


def texts_of(expression: exp.Expr, item: TransformItem, columns: Mapping[str, str], engine: str) -> Moved:
    """Return an expression on both engines.

    Parameters
    ----------
    expression : exp.Expr
        Frozen; what a user has written in it is marked.
    item : TransformItem
        Of which it is, or is a part.
    columns : mapping of str to str
        The columns that it may read, with the engine's own types.
    engine : str
        Where it is trained.
    """
    text = expression.sql(dialect=engine)
    other = other_dialect(engine)
    try:
        moved = Mover(engine, columns).moved(expression).sql(dialect=other)
    except UnmovableError as found:
        return Moved(text, _refused(found, item, engine))
    try:
        is_same = set(columns_in(parse_scalar(moved, other))) == set(columns_in(parse_scalar(text, engine)))
    except ValueError:
        is_same = False
    if not is_same or len(moved) > _MOST_CHARACTERS:
        too_long = UnmovableError(expression, why=f"it is too long in the words of {_NAMES[other]}")
        return Moved(text, _refused(too_long, item, engine))
    return Moved(text, Elsewhere(moved))


def _refused(found: UnmovableError, item: TransformItem, engine: str) -> Elsewhere:
    """Return what is told of an expression: the rule of portability that it breaks, if one is known."""
    from warehouse_ml.portability import RULES, check_text

    start, other = item.start, other_dialect(engine)
    select = "select "
    findings = check_text(
        select + item.text,
        engine=engine,
        at=lambda position: item.source.at(start + max(position - len(select), 0)),
        refusing=frozenset({other}),
    )
    told = [one for one in findings if one.rule.code == found.code]
    if found.code is None and found.why is None:
        told = [one for one in findings if one.level != "note"]
    if told:
        rule = told[0].rule
        return Elsewhere(None, told[0].place, f"{rule.construct}: {rule.why}", rule.fix)
    part = found.node.sql(dialect=engine, comments=False)
    shown = part if len(part) <= _SHOWN else f"{part[:_SHOWN]}..."
    if found.code is not None:
        rule = RULES[found.code]
        return Elsewhere(None, item.place, f"{shown}: {rule.why}", rule.fix)
    return Elsewhere(None, item.place, f"{shown}: {found.why or 'it is not known to be the same there'}")
