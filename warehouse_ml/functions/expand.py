"""A statement with ``ml.*`` calls, as plain SQL of the target.

Only the calls are replaced: everything else stays the text that the user wrote, so that what the parser does not
know passes through, and an error of the warehouse is told at the user's own line and column.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sqlglot import exp

from warehouse_ml.constants import NotConstantError, constant
from warehouse_ml.diagnosis import diagnosed
from warehouse_ml.dialect import MlCall, MlInput, calls_in, span
from warehouse_ml.errors import DefinitionError, SqlError, did_you_mean
from warehouse_ml.functions.call import Call, Context, Input, ModelName
from warehouse_ml.functions.native import answered_there
from warehouse_ml.functions.signatures import SIGNATURES, Signature
from warehouse_ml.functions.text import Spliced
from warehouse_ml.places import SourceText
from warehouse_ml.registry import CHAMPION

__all__ = ["Expanded", "expand"]


@dataclass(frozen=True)
class Expanded:
    """A statement in plain SQL.

    Parameters
    ----------
    sql : str
    written : str
        As the user wrote it.
    at : callable
        Returns the place in the user's file of an offset of ``written``.
    texts : tuple of Spliced
        The statement, and each relation that was read to answer a call; the longest first.
    """

    sql: str
    written: str
    at: Callable[[int | None], str]
    texts: tuple[Spliced, ...]

    def placed(self, error: SqlError) -> SqlError:
        """Return an error of the warehouse as one of the statement that was written, at its place in the file."""
        if error.sql is None or error.position is None:
            return error.placed(self.at(None))
        for text in self.texts:
            # Statements are sent without the white space around them.
            core = text.text.strip()
            start = error.sql.find(core)
            if 0 <= start <= error.position <= start + len(core):
                position = text.origin(error.position - start + text.text.index(core))
                break
        else:
            position = self.texts[0].origins[0]
        return SqlError(
            error.what,
            sql=self.written,
            line=self.written.count("\n", 0, position) + 1,
            position=position,
            place=self.at(position),
            has=error.has,
            hint=error.hint,
        )


def expand(sql: str, context: Context, *, place: str, at: Callable[[int | None], str] | None = None) -> Expanded:
    """Replace every ``ml.*`` call of a statement.

    Parameters
    ----------
    sql : str
        The rendered statement, which may start with comments.
    context : Context
    place : str
        The file, for errors.
    at : callable, optional
        Returns the place in the file of an offset of ``sql``; by default ``sql`` is the file.

    Raises
    ------
    TemplateError
        If the statement has calls and cannot be parsed.
    DefinitionError
        If a call is not one that the function takes.
    SqlError
        If the warehouse refuses a relation that a call reads; placed in the file.
    """
    at = at or SourceText(sql, place).at
    calls = calls_in(sql, place=place, at=at, engine=context.warehouse.engine)
    if not calls:
        return Expanded(sql, sql, at, (Spliced.copied(sql),))
    expansion = _Expansion(sql, context, at)
    try:
        text = expansion.splice(0, len(sql), calls)
    except SqlError as error:
        known = Expanded(sql, sql, at, _longest_first([Spliced.copied(sql), *expansion.texts]))
        raise known.placed(diagnosed(error, context.warehouse)) from None
    return Expanded(text.text, sql, at, _longest_first([text, *expansion.texts]))


class _Expansion:
    """One statement on its way to plain SQL; each call is answered once, however often its text is read."""

    def __init__(self, sql: str, context: Context, at: Callable[[int | None], str]) -> None:
        self._sql = sql
        self._context = context
        self._at = at
        self._answered: dict[int, Spliced] = {}
        self.texts: list[Spliced] = []

    def splice(self, start: int, end: int, calls: list[MlCall]) -> Spliced:
        """Return the text from start to end with those of the calls replaced that stand in it."""
        parts, at = [], start
        for call in _outermost(calls, start, end):
            first, last = span(call)
            parts += [Spliced.copied(self._sql[at:first], at), self._answer(call)]
            at = last
        return Spliced.joined([*parts, Spliced.copied(self._sql[at:end], at)])

    def _answer(self, node: MlCall) -> Spliced:
        start, _ = span(node)
        if start not in self._answered:
            call, inputs = self._read(node)
            answer = answered_there(call, self._context)
            if answer is None:
                answer = SIGNATURES[call.name].function(call.name)(call, self._context)
            self._answered[start] = _around(f"(\n{answer}\n)", inputs, start)
        return self._answered[start]

    def _read(self, node: MlCall) -> tuple[Call, list[Spliced]]:
        start, _ = span(node)
        place = self._at(start)
        name = str(node.this)
        if name not in SIGNATURES:
            known = [f"ml.{other}" for other in SIGNATURES]
            raise DefinitionError(
                f"no function ml.{name}", place=place, has=known, hint=did_you_mean(f"ml.{name}", known)
            )
        signature = SIGNATURES[name]
        models, given = node.args["models"], node.args["inputs"]
        fewest, most = signature.inputs
        if len(models) != signature.has_model or not fewest <= len(given) <= most:
            needs = ["one model"] if signature.has_model else ["no model"]
            needs.append(f"{fewest} relations" if fewest == most else f"{fewest} or {most} relations")
            what = f"ml.{name} takes {' and '.join(needs)}, but is given {len(models)} and {len(given)}"
            raise DefinitionError(what, place=place, hint=signature.usage(name))
        texts = [self._input(read, node) for read in given]
        inputs = [Input(inline.text, alone.text) for inline, alone in texts]
        model = ModelName(models[0].name, models[0].version or CHAMPION) if models else None
        settings = self._settings(node, signature, name, place)
        written = tuple(self._written(value) for value in (*node.args["settings"], *node.args["named"]))
        return Call(name, place, model, tuple(inputs), settings, written), [inline for inline, _ in texts]

    def _input(self, read: MlInput, node: MlCall) -> tuple[Spliced, Spliced]:
        """Return the query of an input in the call's place, and as a statement of its own."""
        inside = self.splice(*span(read), _calls_below(read))
        if read.is_table:
            inside = Spliced.joined([Spliced.generated("select * from ", span(read)[0]), inside])
        alone = inside
        for with_, ctes in _ctes_seen_by(node):
            parts = [Spliced.generated("with recursive " if with_.args.get("recursive") else "with ", span(node)[0])]
            for cte in ctes:
                parts += [self.splice(*span(cte), _calls_below(cte)), Spliced.generated(",\n", span(cte)[1])]
            parts[-1] = Spliced.generated("\nselect * from (\n", span(read)[0])
            alone = Spliced.joined([*parts, alone, Spliced.generated("\n) as wml_read", span(read)[1])])
        self.texts += [alone, inside]
        return inside, alone

    def _settings(self, node: MlCall, signature: Signature, name: str, place: str) -> dict[str, object]:
        given: dict[str, exp.Expr] = {}
        standing = list(node.args["settings"])
        for position, value in enumerate(standing):
            if isinstance(value, exp.Struct) and not signature.positional and not signature.named:
                for item in value.expressions:
                    key = item.name.lower() if isinstance(item, exp.PropertyEQ) else item.alias_or_name.lower()
                    given[key] = item.expression if isinstance(item, exp.PropertyEQ) else item.unalias()
                continue
            known = signature.positional or signature.named
            if position >= len(known):
                raise DefinitionError(
                    f"ml.{name} does not take {self._written(value)}", place=place, hint=signature.usage(name)
                )
            given[known[position]] = value
        for value in node.args["named"]:
            known = (*signature.named, *signature.positional)
            if value.name not in known:
                raise DefinitionError(
                    f"ml.{name} has no argument {value.name}",
                    place=place,
                    has=known or None,
                    hint=did_you_mean(value.name, known) or signature.usage(name),
                )
            value.expression.meta.update(value.meta)
            given[value.name] = value.expression
        return {key: self._value(key, value, signature, name, place) for key, value in given.items()}

    def _written(self, value: exp.Expr) -> str:
        """Return an argument as it is written, a query's calls in it answered."""
        if "wml_start" not in value.meta:
            return value.sql(dialect=self._context.warehouse.engine)
        return self.splice(*span(value), list(value.find_all(MlCall))).text

    def _value(self, key: str, value: exp.Expr, signature: Signature, name: str, place: str) -> object:
        if key in signature.expressions:
            return self._written(value)
        try:
            return constant(value)
        except NotConstantError as error:
            what = f"{key} of ml.{name} needs a constant, not {error.written}"
            raise DefinitionError(what, place=place, hint=error.hint) from None


def _longest_first(texts: list[Spliced]) -> tuple[Spliced, ...]:
    return tuple(sorted(texts, key=lambda text: -len(text.text)))


def _ctes_seen_by(node: exp.Expr) -> Iterator[tuple[exp.With, list[exp.CTE]]]:
    """Yield the CTEs that a call may name, query by query from the innermost out."""
    child, parent = node, node.parent
    while parent is not None:
        with_ = parent if isinstance(parent, exp.With) else parent.args.get("with_")
        if with_ is not None and not isinstance(child, exp.With):
            ctes = with_.expressions
            seen = ctes[: _index_of(ctes, child)] if with_ is parent else ctes
            # The parser makes a CTE of each step of a pipe; they are nowhere in the text.
            seen = [cte for cte in seen if "wml_start" in cte.meta]
            if seen:
                yield with_, seen
        child, parent = parent, parent.parent


def _calls_below(node: exp.Expr) -> list[MlCall]:
    return list(node.find_all(MlCall))


def _outermost(calls: list[MlCall], start: int, end: int) -> Iterator[MlCall]:
    at = start
    for call in sorted(calls, key=lambda call: span(call)[0]):
        first, last = span(call)
        if at <= first and last <= end:
            yield call
            at = last


def _index_of(nodes: list[exp.Expr], wanted: exp.Expr) -> int:
    return next(index for index, node in enumerate(nodes) if node is wanted)


def _around(answer: str, inputs: list[Spliced], origin: int) -> Spliced:
    """Return the answer with the inputs' own text in it still knowing where it comes from."""
    parts, at = [], 0
    for text in inputs:
        found = answer.find(text.text, at)
        if found < 0:
            continue
        parts += [Spliced.generated(answer[at:found], origin), text]
        at = found + len(text.text)
    return Spliced.joined([*parts, Spliced.generated(answer[at:], origin)])
