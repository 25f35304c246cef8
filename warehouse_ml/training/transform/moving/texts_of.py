"""An expression of TRANSFORM as it is kept: as the engine of its training has it, and as the other one does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlglot import exp

from warehouse_ml.scalar_sql import Elsewhere, columns_in, other_dialect, parse_scalar
from warehouse_ml.training.transform.moving.mover import Mover
from warehouse_ml.training.transform.moving.values import UnmovableError
from warehouse_ml.transform_clause import TransformItem

if TYPE_CHECKING:
    from warehouse_ml.portability import Finding

__all__ = ["Moved", "texts_of"]

_NAMES = {"duckdb": "DuckDB", "bigquery": "BigQuery"}
# What overflows is written twice and more, and so are the sums that it is a part of.
_MOST_CHARACTERS = 100_000
_SHOWN = 60
# Rules about how a thing is spelled, which is what moving sees to.
_SPELLED = {"quoted-name", "backslash", "doubled-quote", "google-text", "type-name", "cast-operator", "syntax"}


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


def texts_of(
    expression: exp.Expr, item: TransformItem, columns: Mapping[str, str], engine: str, *, is_new: bool = True
) -> Moved:
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
    is_new : bool
        False if it is like another one but for a constant, so that it need not be read again to be checked.
    """
    text = expression.sql(dialect=engine)
    other = other_dialect(engine)
    try:
        moved = Mover(engine, columns).moved(expression).sql(dialect=other)
    except UnmovableError as found:
        return Moved(text, _refused(found, item, engine))
    if not is_new:
        return Moved(text, Elsewhere(moved))
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
    from warehouse_ml.portability import RULES

    part = found.node.sql(dialect=engine, comments=False)
    codes = [found.code] if found.code else [] if found.why else [one.rule.code for one in _findings(part, engine)]
    code = next((code for code in codes if code not in _SPELLED), None)
    if code is None:
        shown = part if len(part) <= _SHOWN else f"{part[:_SHOWN]}..."
        return Elsewhere(None, item.place, f"{shown}: {found.why or 'it is not known to be the same there'}")
    rule = RULES[code]
    told = (one.place for one in _findings(item.text, engine, item) if one.rule.code == code)
    return Elsewhere(None, next(told, item.place), f"{rule.construct}: {rule.why}", rule.fix)


def _findings(text: str, engine: str, item: TransformItem | None = None) -> list[Finding]:
    """Return what the rules of portability say of an expression, at the places of an item."""
    from warehouse_ml.portability import check_text

    select = "select "

    def at(position: int) -> str:
        return item.source.at(item.start + max(position - len(select), 0)) if item else ""

    return check_text(select + text, engine=engine, at=at, refusing=frozenset({other_dialect(engine)}))
