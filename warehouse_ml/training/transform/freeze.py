"""TRANSFORM's expressions with their statistics in them.

Calls nest, so they are frozen innermost first. In each pass every call whose argument is frozen already is looked at:
their arguments' types are asked for in one statement, their statistics in two, and each becomes an expression of one
row.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from sqlglot import exp

from warehouse_ml.errors import DataError, DefinitionError, SqlError, did_you_mean
from warehouse_ml.preprocessing_calls import SIGNATURES
from warehouse_ml.scalar_sql import is_element
from warehouse_ml.scoring import nodes
from warehouse_ml.scoring.features import input_kind
from warehouse_ml.training.transform.functions import Encoded, ask, fields_of, make
from warehouse_ml.training.transform.moving import mark_constant, mark_made, mark_own
from warehouse_ml.training.transform.statistics import Statistics
from warehouse_ml.transform_clause import MlCall, TransformItem, is_call, read_call
from warehouse_ml.warehouses.base import Relation, Warehouse

__all__ = ["Frozen", "Rows", "expand_items", "freeze", "types_of"]

_KINDS = {
    "number": ("number",),
    "text": ("category",),
    "number or text": ("number", "category"),
    "list of texts": ("category[]",),
    "list of numbers": ("number[]",),
}
_HINTS = {
    "number": "cast it to a number, or subtract a date to count days",
    "text": "cast it: cast(... as varchar)",
    "list of texts": "split a text: string_split(..., ' '); one text is for ml.one_hot_encoder",
    "list of numbers": "write several numbers as [a, b, c]",
}
# A NULL without a cast, and a list without elements, fit wherever a value is asked for.
_UNKNOWN = ('"NULL"', "NULL", '"NULL"[]', "NULL[]")


@dataclass(frozen=True)
class Rows:
    """Where the rows are that statistics are computed over.

    Parameters
    ----------
    warehouse : Warehouse
    relation : Relation
    columns : mapping of str to str
        Names and types of the columns that may be read.
    row_column : str
        A further column, of any type.
    split_column : str
        Where it says ``train`` a row counts.
    place : str
        The definition, for errors.
    """

    warehouse: Warehouse
    relation: Relation
    columns: Mapping[str, str]
    row_column: str
    split_column: str
    place: str


@dataclass
class Frozen:
    """An item and the expression of one row that it became.

    Parameters
    ----------
    item : TransformItem
    holder : exp.Paren
        Holds the expression while it is worked on.
    encoded : Encoded or None
        Where the item is a call of ``one_hot_encoder`` or ``multi_hot_encoder`` and nothing else.
    warnings : list of str
    """

    item: TransformItem
    holder: exp.Paren
    encoded: Encoded | None = None
    warnings: list[str] = field(default_factory=list)

    @property
    def expression(self) -> exp.Expr:
        """The expression, of one row when all is done."""
        inner: exp.Expr = self.holder.this
        return inner


def expand_items(items: Sequence[TransformItem], columns: Iterable[str], place: str) -> list[TransformItem]:
    """Return the items with a star's columns in its place and every column called as the query calls it.

    Raises
    ------
    DefinitionError
        If there is no such column, or a name is made twice.
    """
    known = {name.casefold(): name for name in columns}
    expanded = []
    for item in items:
        if item.name != "*":
            expanded.append(_resolved(item, known, place))
            continue
        left_out = {_named(node.name, known, item, place) for node in item.expression.args.get("except_") or ()}
        for name in known.values():
            if name not in left_out:
                expanded.append(_starred(item, name))
    seen: set[str] = set()
    for item in expanded:
        if item.name.casefold() in seen:
            raise DefinitionError(
                f'"{item.name}" is made twice by TRANSFORM, once by the star',
                place=item.place,
                hint=f"leave it out of the star: * except ({item.name})",
            )
        seen.add(item.name.casefold())
    return expanded


def freeze(rows: Rows, items: Sequence[TransformItem]) -> list[Frozen]:
    """Return each item as an expression of one row.

    Parameters
    ----------
    rows : Rows
    items : sequence of TransformItem
        As ``expand_items`` gives them.

    Raises
    ------
    DefinitionError
        If an expression is not understood by the warehouse, or an argument has a type that a function does not take;
        with file and line.
    DataError
        If the training rows have nothing to learn a statistic from.
    """
    frozen = [Frozen(item, exp.Paren(this=item.expression.unnest().copy())) for item in items]
    while ready := [(one, node) for one in frozen for node in _ready(one)]:
        _freeze_pass(rows, ready)
    return frozen


def types_of(rows: Rows, expressions: Sequence[tuple[exp.Expr, TransformItem]]) -> list[str]:
    """Return the types of expressions.

    Raises
    ------
    DefinitionError
        If the warehouse does not understand one; at its item.
    """
    try:
        return _described(rows, [expression for expression, _ in expressions])
    except SqlError:
        for expression, item in expressions:
            try:
                _described(rows, [expression])
            except SqlError as error:
                raise DefinitionError(
                    f'"{item.name}" of TRANSFORM: {error.what}',
                    place=item.place,
                    has=error.has,
                    hint=error.hint,
                ) from None
        raise


def _described(rows: Rows, expressions: Sequence[exp.Expr]) -> list[str]:
    table = exp.table_(rows.relation.name, db=rows.relation.schema, quoted=True)
    projections: list[exp.Expr] = [nodes.column(rows.row_column)]
    # A column beside them: what is an aggregate after all would need a GROUP BY, and is refused by the warehouse.
    projections += [nodes.projection(node.copy(), f"wml_{index}") for index, node in enumerate(expressions)]
    query = nodes.select_from(projections, table)
    types = rows.warehouse.columns(query.sql(dialect=rows.warehouse.engine, copy=False))
    return [types[f"wml_{index}"] for index in range(len(expressions))]


def _starred(star: TransformItem, name: str) -> TransformItem:
    column = nodes.column(name)
    return replace(star, name=name, expression=column, text=column.sql(dialect=star.dialect))


def _resolved(item: TransformItem, known: Mapping[str, str], place: str) -> TransformItem:
    expression = exp.Paren(this=item.expression.copy())
    for column in list(expression.find_all(exp.Column)):
        if not isinstance(column.this, exp.Star) and not is_element(column):
            column.replace(nodes.column(_named(column.name, known, item, place)))
    return replace(item, expression=expression.this)


def _named(name: str, known: Mapping[str, str], item: TransformItem, place: str) -> str:
    found = known.get(name.casefold())
    if found is None:
        raise DefinitionError(
            f'TRANSFORM reads "{name}", which the query does not select',
            place=item.place_of(name),
            has=list(known.values()),
            hint=did_you_mean(name, list(known.values())),
        )
    return found


def _ready(one: Frozen) -> list[exp.Expr]:
    """Return the calls and windows that hold no other."""
    found: list[exp.Expr] = []
    for node in one.holder.find_all(exp.Window, exp.Dot, exp.Anonymous):
        is_called = isinstance(node.parent, exp.Window) and node.arg_key == "this"
        if is_called or not (is_call(node) or isinstance(node, exp.Window)):
            continue
        inside = (part for part in node.find_all(exp.Window, exp.Dot, exp.Anonymous) if part is not node)
        own = node.this if isinstance(node, exp.Window) else None
        if not any(part is not own and (is_call(part) or isinstance(part, exp.Window)) for part in inside):
            found.append(node)
    return found


def _freeze_pass(rows: Rows, ready: Sequence[tuple[Frozen, exp.Expr]]) -> None:
    calls = [read_call(node, one.item, rows.place) for one, node in ready]
    kinds = _kinds_of(rows, [(call, one.item) for call, (one, _) in zip(calls, ready, strict=True) if call is not None])
    statistics = Statistics(rows.warehouse, rows.relation, rows.split_column)
    for call, (one, node) in zip(calls, ready, strict=True):
        if call is not None:
            ask(call, kinds[id(call)], statistics, one.item.place_of(call.name))
        else:
            statistics.ask_aggregate(node.this)
    try:
        statistics.run()
    except SqlError as error:
        raise DataError(
            f"TRANSFORM fails on the training rows: {error.what}",
            place=rows.place,
            hint="try_cast(...) gives NULL where cast(...) fails",
        ) from None
    for call, (one, node) in zip(calls, ready, strict=True):
        if call is None:
            node.replace(mark_constant(statistics.aggregate(node.this)))
            continue
        operands = [call.operand]
        if SIGNATURES[call.name].operand == "struct":
            operands = [value for _, value in fields_of(call, one.item.place_of(call.name))]
        for operand in operands:
            mark_own(operand)
        made = make(call, kinds[id(call)], statistics, one.item.place_of(call.name))
        if made.warning:
            one.warnings.append(f'"{one.item.name}" of TRANSFORM: {made.warning}')
        mark_made(made.expression, call.name, kinds[id(call)])
        if node.parent is one.holder:
            one.encoded = made.encoded
            node.replace(made.expression)
        else:
            node.replace(_in_parentheses(made.expression))


def _in_parentheses(node: exp.Expr) -> exp.Expr:
    """Return what can stand beside an operator; what is known of it stays known."""
    if not isinstance(node, exp.Binary):
        return node
    paren = exp.Paren(this=node)
    paren.meta.update(node.meta)
    return paren


def _kinds_of(rows: Rows, calls: Sequence[tuple[MlCall, TransformItem]]) -> dict[int, str]:
    """Return what each call's operand is, by the call's identity, after checking that the function takes it."""
    asked: list[tuple[exp.Expr, TransformItem, MlCall, str]] = []
    for call, item in calls:
        operand: str = SIGNATURES[call.name].operand
        if operand == "struct":
            kind = "text" if call.name == "feature_cross" else "number"
            fields = fields_of(call, item.place_of(call.name))
            asked += [(value, item, call, kind) for _, value in fields]
        else:
            asked.append((call.operand, item, call, operand))
    types = types_of(rows, [(value, item) for value, item, _, _ in asked]) if asked else []
    kinds = {}
    for (value, item, call, operand), type_name in zip(asked, types, strict=True):
        kind = kinds[id(call)] = input_kind(type_name)
        if kind not in _KINDS[operand] and kind not in _UNKNOWN:
            raise DefinitionError(
                f"ml.{call.name} needs a {operand}, and {value.sql(dialect=item.dialect)} is {type_name}",
                place=item.place_of(call.name),
                hint=_HINTS.get(operand),
            )
    return kinds
