"""Which base columns a query's columns are computed from, as far as the query itself says."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from sqlglot import exp
from sqlglot.optimizer.scope import Scope

__all__ = ["derived_from", "window_of"]

# A column of a relation, told apart by the aliases on the way to it: the same table joined twice is two.
_Base = tuple[tuple[str, ...], str]
_Columns = dict[str, tuple[frozenset[_Base], exp.Expr | None]]


def derived_from(scope: Scope, name: str, left_out: Collection[str] = ()) -> list[tuple[str, exp.Expr | None]]:
    """Return the columns of a query that are computed from everything that one of them is computed from.

    Parameters
    ----------
    scope : Scope
        The query's.
    name : str
        The column, in any case.
    left_out : collection of str
        Columns that are not asked about.

    Returns
    -------
    list of (name, projection)
        The projection is None where a star brings the column. Nothing if the query does not say how ``name`` is
        computed. An earlier or later row of a window, and an aggregate of a group, are values of their own.
    """
    columns = _Lineage().columns(scope, ())
    wanted = columns.get(name.lower(), (frozenset(), None))[0]
    if not wanted:
        return []
    asked = {other.lower() for other in left_out} | {name.lower()}
    return [(other, node) for other, (bases, node) in columns.items() if other not in asked and wanted <= bases]


class _Lineage:
    """The columns of each query within a query, looked at once for every way to it."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, tuple[str, ...]], _Columns] = {}

    def columns(self, scope: Scope, path: tuple[str, ...]) -> _Columns:
        key = id(scope), path
        if key not in self._known:
            # A recursive query reads itself: what it has is found from its first part.
            self._known[key] = {}
            found = self._of_union(scope, path) if scope.set_operation_scopes else self._of_select(scope, path)
            # with t(a, b) as (select ...) renames what the query selects.
            names = [*scope.outer_columns, *list(found)[len(scope.outer_columns) :]]
            self._known[key] = {name.lower(): column for name, column in zip(names, found.values(), strict=False)}
        return self._known[key]

    def _of_union(self, scope: Scope, path: tuple[str, ...]) -> _Columns:
        left, right = (
            self.columns(branch, (*path, str(index))) for index, branch in enumerate(scope.set_operation_scopes)
        )
        # Columns of a union go together by position; the first query names them.
        pairs = zip(left.items(), right.values(), strict=False)
        return {name: (bases | others, node) for (name, (bases, node)), (others, _) in pairs}

    def _of_select(self, scope: Scope, path: tuple[str, ...]) -> _Columns:
        found: _Columns = {}
        query = scope.expression
        for projection in query.expressions if isinstance(query, exp.Select) else ():
            if not projection.is_star:
                bases = frozenset(self._bases(projection.unalias(), scope, path))
                found[projection.alias_or_name.lower()] = (bases, projection)
                continue
            table = projection.table.lower() if isinstance(projection, exp.Column) else ""
            for alias, source in _sources(scope, table):
                if isinstance(source, Scope):
                    brought = self.columns(source, (*path, alias))
                    found.update({name: (bases, None) for name, (bases, _) in brought.items()})
        return found

    def _bases(self, node: exp.Expr, scope: Scope, path: tuple[str, ...]) -> Iterator[_Base]:
        if isinstance(node, exp.Query):
            return
        if _is_its_own(node):
            yield path, node.sql()
        elif isinstance(node, exp.Column):
            yield from self._base_of(node, scope, path)
        else:
            for child in node.iter_expressions():
                yield from self._bases(child, scope, path)

    def _base_of(self, column: exp.Column, scope: Scope, path: tuple[str, ...]) -> Iterator[_Base]:
        name = column.name.lower()
        sources = _sources(scope, column.table.lower())
        for alias, source in sources:
            inner = self.columns(source, (*path, alias)) if isinstance(source, Scope) else {}
            if name in inner:
                yield from inner[name][0]
                return
        # A column of a relation, or one that a star brings; without its relation's name it may be of any.
        yield (*path, sources[0][0] if len(sources) == 1 else "?"), name


def _sources(scope: Scope, table: str) -> list[tuple[str, object]]:
    return [
        (alias.lower(), source)
        for alias, (_, source) in scope.selected_sources.items()
        if not table or alias.lower() == table
    ]


def window_of(call: exp.Window) -> exp.Window:
    """Return the window that a call is over: its own, or the one it names in the query's WINDOW clause."""
    select = call.parent_select
    named = select.args.get("windows") if select is not None and call.args.get("alias") else None
    return next((window for window in named or [] if window.name.lower() == call.alias.lower()), call)


def _is_its_own(node: exp.Expr) -> bool:
    """Whether an expression looks at other rows than its own, so that it is another value than the columns in it."""
    if isinstance(node, exp.Window):
        spec = window_of(node).args.get("spec")
        start, end = (str(spec.args.get(side)).upper() if spec else "" for side in ("start_side", "end_side"))
        return end == "PRECEDING" or start == "FOLLOWING" or isinstance(node.this, (exp.Lag, exp.Lead))
    return isinstance(node, exp.AggFunc) and not isinstance(node.parent, exp.Window)
