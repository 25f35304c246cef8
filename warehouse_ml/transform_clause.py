"""The TRANSFORM clause of CREATE MODEL: its items, and the calls of preprocessing functions in them.

Whatever can be said without looking at the data is said here: the items and their names, which functions there are,
what arguments they take, and that nothing in an expression needs more than its own row or a statistic of all rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from sqlglot import exp
from sqlglot.tokenizer_core import Token, TokenType

from warehouse_ml.constants import constant
from warehouse_ml.errors import DefinitionError, did_you_mean
from warehouse_ml.places import SourceText
from warehouse_ml.preprocessing_calls import SIGNATURES
from warehouse_ml.scalar_sql import DIALECT, refusal, without_comments

__all__ = ["MlCall", "TransformItem", "aggregate_of", "is_call", "read_call", "read_transform"]

_AGGREGATES = {
    exp.Avg: "avg",
    exp.Corr: "corr",
    exp.Count: "count",
    exp.CountIf: "count_if",
    exp.Max: "max",
    exp.Median: "median",
    exp.Min: "min",
    exp.PercentileCont: "quantile_cont",
    exp.PercentileDisc: "quantile_disc",
    exp.Quantile: "quantile",
    exp.Stddev: "stddev",
    exp.StddevPop: "stddev_pop",
    exp.StddevSamp: "stddev_samp",
    exp.Sum: "sum",
    exp.Variance: "variance",
    exp.VariancePop: "var_pop",
}


_FIELD = {"duckdb": "struct_extract({}, '{}')", "bigquery": "({}).{}"}


@dataclass(frozen=True)
class TransformItem:
    """An item of the clause.

    Parameters
    ----------
    name : str
        The output's name; ``*`` for a star.
    expression : exp.Expr
        Without its alias; ``exp.Star`` for a star.
    text : str
        The expression as written.
    start : int
        The offset in the rendered file at which it starts.
    source : SourceText
        The rendered file.
    dialect : str
        In whose SQL it is written.
    """

    name: str
    expression: exp.Expr
    text: str
    start: int
    source: SourceText = field(repr=False, compare=False)
    words: tuple[tuple[str, int], ...] = field(default=(), repr=False, compare=False)
    dialect: str = DIALECT

    @property
    def place(self) -> str:
        """File, line and column of the item."""
        return self.source.at(self.start)

    def place_of(self, word: str) -> str:
        """Return file, line and column of a word of the item, the item's own if it is not among them."""
        return self.source.at(next((start for text, start in self.words if text == word.lower()), self.start))


@dataclass(frozen=True)
class MlCall:
    """A call of a preprocessing function.

    Parameters
    ----------
    name : str
        Without ``ml.``, lower case.
    operand : exp.Expr
        What is transformed: the first argument.
    settings : mapping of str to value
        Every other argument by its name in Google's documentation, defaults filled in.
    written : frozenset of str
        The settings that were written.
    dialect : str
        In whose SQL it is written.
    """

    name: str
    operand: exp.Expr
    settings: Mapping[str, Any]
    written: frozenset[str]
    dialect: str = DIALECT

    @property
    def is_analytic(self) -> bool:
        """Whether it needs statistics of all rows."""
        return SIGNATURES[self.name].is_analytic

    def told(self) -> str:
        """Return the call's beginning, for messages."""
        return f"ml.{self.name}({self.operand.sql(dialect=self.dialect)})"


def read_transform(
    nodes: Sequence[exp.Expr], tokens: Sequence[Token], sql: str, source: SourceText, dialect: str = DIALECT
) -> tuple[TransformItem, ...]:
    """Read the items of a TRANSFORM clause and check what can be checked without the data.

    Parameters
    ----------
    nodes : sequence of exp.Expr
        The items, as the parser made them.
    tokens : sequence of Token
        Of the whole statement.
    sql : str
        The whole statement.
    source : SourceText
        The same statement with its places in the file.
    dialect : str
        In whose SQL it is written.

    Raises
    ------
    DefinitionError
        Naming the file, the line and the item at fault.
    """
    parts = _parts(tokens)
    if not nodes or len(parts) != len(nodes):
        raise DefinitionError(
            "TRANSFORM (...) is empty", place=source.place, hint="transform (column, ... , expression as name)"
        )
    items = [_item(node, part, sql, source, dialect) for node, part in zip(nodes, parts, strict=True)]
    seen: dict[str, TransformItem] = {}
    for item in items:
        if item.name.lower() in seen:
            what = "a star stands twice in" if item.name == "*" else f'"{item.name}" is made twice by'
            raise DefinitionError(f"{what} TRANSFORM", place=item.place, hint="give each output its own name")
        seen[item.name.lower()] = item
        if item.name != "*":
            _check(item, source.place)
    return tuple(items)


def is_call(node: exp.Expr) -> bool:
    """Whether a node is a call of an ``ml.`` function, its ``over`` included."""
    return _name_and_arguments(node) is not None


def read_call(node: exp.Expr, item: TransformItem, place: str) -> MlCall | None:
    """Return the call that a node is, or None if it is none.

    Raises
    ------
    DefinitionError
        If there is no such function, an argument is wrong, or ``over ()`` is missing or has no place.
    """
    found = _name_and_arguments(node)
    if found is None:
        return None
    name, arguments = found
    at = item.place_of(name)
    if name not in SIGNATURES:
        raise DefinitionError(
            f"there is no function ml.{name} for TRANSFORM",
            place=at,
            has=[f"ml.{known}" for known in SIGNATURES],
            hint=did_you_mean(name, list(SIGNATURES)),
        )
    signature = SIGNATURES[name]
    if signature.is_analytic and not isinstance(node, exp.Window):
        raise DefinitionError(
            f"ml.{name} needs the statistics of all rows",
            place=at,
            hint=f"write {node.sql(dialect=item.dialect)} over ()",
        )
    if isinstance(node, exp.Window):
        if not signature.is_analytic:
            raise DefinitionError(f"ml.{name} looks at one row only", place=at, hint="leave over () away")
        _check_window(node, f"ml.{name}", at)
    if not signature.fewest <= len(arguments) <= signature.most:
        raise DefinitionError(
            f"ml.{name} takes {_counted(signature.fewest, signature.most)}, not {len(arguments)}",
            place=at,
            hint=f"ml.{name}({signature.usage})",
        )
    settings = {}
    for setting, argument in zip(signature.settings, arguments[1:], strict=False):
        try:
            settings[setting.name] = setting.read(constant(argument))
        except ValueError as error:
            raise DefinitionError(
                f"{setting.name} of ml.{name} {error}, not {argument.sql(dialect=item.dialect)}",
                place=at,
                hint=f"ml.{name}({signature.usage})",
            ) from None
    defaults = {setting.name: setting.default for setting in signature.settings}
    return MlCall(name, arguments[0], {**defaults, **settings}, frozenset(settings), item.dialect)


def aggregate_of(node: exp.Expr) -> exp.Expr | None:
    """Return the aggregate of an ordinary ``aggregate(...) over ()``, its filter included, or None."""
    return node.this if isinstance(node, exp.Window) and _name_and_arguments(node) is None else None


def _name_and_arguments(node: exp.Expr) -> tuple[str, list[exp.Expr]] | None:
    called = node.this if isinstance(node, exp.Window) else node
    if isinstance(called, exp.Dot) and isinstance(called.this, (exp.Identifier, exp.Column)):
        function = called.expression
        if called.this.name.lower() == "ml" and isinstance(function, exp.Func):
            return _function(function)
    # A parser may also keep the dotted name whole.
    if isinstance(called, exp.Anonymous) and called.name.lower().startswith("ml."):
        return called.name[3:].lower(), list(called.expressions)
    return None


def _function(function: exp.Func) -> tuple[str, list[exp.Expr]]:
    if isinstance(function, exp.Anonymous):
        return function.name.lower(), list(function.expressions)
    return function.sql_name().lower(), list(function.iter_expressions())


def _parts(tokens: Sequence[Token]) -> list[list[Token]]:
    """Return the tokens of each item: what stands between the commas of the clause's own parentheses."""
    start = next(index for index, token in enumerate(tokens) if token.text.upper() == "TRANSFORM")
    parts: list[list[Token]] = [[]]
    depth = 0
    opening = (TokenType.L_PAREN, TokenType.L_BRACKET, TokenType.L_BRACE)
    closing = (TokenType.R_PAREN, TokenType.R_BRACKET, TokenType.R_BRACE)
    for token in tokens[start + 1 :]:
        depth += (token.token_type in opening) - (token.token_type in closing)
        if depth == 0:
            break
        if depth == 1 and token.token_type == TokenType.COMMA:
            parts.append([])
        elif depth > 1 or token.token_type not in opening:
            parts[-1].append(token)
    return [part for part in parts if part]


def _item(node: exp.Expr, part: list[Token], sql: str, source: SourceText, dialect: str) -> TransformItem:
    start = part[0].start
    at = partial(source.at, start)
    expression = without_comments(node.unalias())
    words = tuple((token.text.lower(), token.start) for token in part)
    if isinstance(node, exp.Alias):
        # The name is the last token, AS the one before it where it is written.
        part = part[:-2] if part[-2].token_type == TokenType.ALIAS else part[:-1]
    text = sql[part[0].start : part[-1].end + 1]
    if isinstance(expression, exp.Star):
        if expression.args.get("replace") or expression.args.get("rename"):
            raise DefinitionError(
                "a star of TRANSFORM can only leave columns out", place=at, hint="* except (column, ...)"
            )
        return TransformItem("*", expression, text, start, source, words, dialect)
    name = node.alias_or_name if isinstance(node, (exp.Alias, exp.Column)) else ""
    if not name or name == "*":
        raise DefinitionError(
            f"{text} has no name" if name != "*" else f"{text}: a star of TRANSFORM has no relation",
            place=at,
            hint=f"write {text} as name" if name != "*" else "write * alone",
        )
    return TransformItem(name, expression, text, start, source, words, dialect)


def _check(item: TransformItem, place: str) -> None:
    """Refuse what cannot be frozen: every call and window becomes a NULL once it is checked, innermost first."""
    holder = exp.Paren(this=item.expression.copy())
    for node in list(holder.find_all(exp.Window, exp.Dot, exp.Anonymous))[::-1]:
        if isinstance(node.parent, exp.Window) and node.arg_key == "this":
            continue
        call = read_call(node, item, place)
        aggregate = aggregate_of(node)
        if call is not None:
            _refuse(call.operand, item, place)
        elif aggregate is not None:
            _check_aggregate(node, aggregate, item, place)
        else:
            continue
        node.replace(exp.Null())
    _refuse(holder.this, item, place)


def _check_aggregate(window: exp.Expr, aggregate: exp.Expr, item: TransformItem, place: str) -> None:
    at = item.place
    bare = aggregate.this if isinstance(aggregate, exp.Filter) else aggregate
    told = bare.sql(dialect=item.dialect)
    _check_window(window, told, at)
    if type(bare) not in _AGGREGATES:
        raise DefinitionError(
            f"{told} over () cannot be frozen into a constant", place=at, has=sorted(_AGGREGATES.values())
        )
    for part in aggregate.walk():
        is_own = part is bare or isinstance(part, (exp.Filter, exp.Where, exp.Distinct))
        is_counted = isinstance(part, exp.Star) and part.parent is bare and isinstance(bare, exp.Count)
        reason = None if is_own or is_counted else refusal(part, item.dialect)
        if reason is not None:
            raise _refused(reason, item, place)


def _check_window(window: exp.Expr, told: str, at: str) -> None:
    if any(window.args.get(part) for part in ("partition_by", "order", "spec", "alias")):
        raise DefinitionError(
            f"the window of {told} is not empty, and only a statistic of all rows can be frozen",
            place=at,
            hint="write over (), or compute it in the query",
        )


def _refuse(expression: exp.Expr, item: TransformItem, place: str) -> None:
    for part in expression.walk():
        reason = refusal(part, item.dialect)
        if isinstance(part, exp.Column) and part.table:
            raise DefinitionError(
                f"TRANSFORM reads the query's columns, which have no relation: {part.sql(dialect=item.dialect)}",
                place=item.place,
                hint=f"write {part.name}; a field of a struct is {_FIELD[item.dialect].format(part.table, part.name)}",
            )
        if isinstance(part, exp.AggFunc) and reason is not None:
            raise DefinitionError(
                f"{part.sql(dialect=item.dialect)} is an aggregate without a window",
                place=item.place,
                hint=f"write {part.sql(dialect=item.dialect)} over ()",
            )
        if reason is not None:
            raise _refused(reason, item, place)


def _refused(reason: str, item: TransformItem, place: str) -> DefinitionError:
    return DefinitionError(
        f'"{item.name}" cannot be frozen: it holds {reason}',
        place=item.place,
        hint="compute it in the query",
    )


def _counted(fewest: int, most: int) -> str:
    if fewest == most:
        return f"{most} argument{'' if most == 1 else 's'}"
    return f"{fewest} to {most} arguments"
