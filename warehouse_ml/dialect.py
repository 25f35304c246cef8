"""The target's SQL with BigQuery ML's statements and table functions in it, as a sqlglot dialect for each engine.

What is trained and queried is the target's own SQL, so each dialect extends the target's and adds only what is BigQuery
ML's: ``create model``, ``drop model``, ``export model``, and ``ml.name(...)`` where a table may stand.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

from sqlglot import exp
from sqlglot.dialects.bigquery import BigQuery
from sqlglot.dialects.dialect import Dialect
from sqlglot.dialects.duckdb import DuckDB
from sqlglot.errors import ParseError, TokenError
from sqlglot.parser import Parser
from sqlglot.parsers.bigquery import BigQueryParser
from sqlglot.parsers.duckdb import DuckDBParser
from sqlglot.tokenizer_core import Token, TokenType

from warehouse_ml.errors import TemplateError, WmlError
from warehouse_ml.places import SourceText

_Node = TypeVar("_Node", bound=Any)

__all__ = [
    "DropModel",
    "ExportModel",
    "MlCall",
    "MlInput",
    "MlModel",
    "WmlBigQuery",
    "WmlDuckDB",
    "calls_in",
    "dialect_of",
    "parse",
    "span",
    "start_of",
]

_OPENS = {
    "duckdb": {"'": "this string", '"': "this name", "/": "this comment"},
    "bigquery": {"'": "this string", '"': "this string", "`": "this name", "/": "this comment"},
}


class MlModel(exp.Expression):
    """``model late_arrival@3``: a name, and a version or alias."""

    arg_types: ClassVar = {"this": True, "version": False}

    @property
    def version(self) -> str | None:
        """The number or alias after the ``@``."""
        found: str | None = self.args.get("version")
        return found


class MlInput(exp.Expression):
    """``table name`` or ``(query)``; its span is the name, or what stands inside of the parentheses."""

    arg_types: ClassVar = {"this": True}

    @property
    def is_table(self) -> bool:
        """Whether it is a name."""
        return isinstance(self.this, exp.Table)


class MlCall(exp.Expression):
    """``ml.name(...)`` in place of a table.

    ``models`` and ``inputs`` are as written, ``settings`` what stands alone (``struct(...)``, a list), ``named`` what
    is given as ``name => value``.
    """

    arg_types: ClassVar = {"this": True, "models": False, "inputs": False, "settings": False, "named": False}


class DropModel(exp.Expression):
    """``drop model [if exists] name``."""

    arg_types: ClassVar = {"this": True, "exists": False}


class ExportModel(exp.Expression):
    """``export model name options (uri = '...')``."""

    arg_types: ClassVar = {"this": True, "options": False}


class _MlParser(Parser):
    """Reads what starts with ``ml.`` where a table may stand."""

    def _parse_statement(self) -> exp.Expr | None:
        if self._curr.text.upper() == "EXPORT" and self._next.token_type == TokenType.MODEL:
            return self._parse_export_model()
        if self._curr.token_type == TokenType.DROP and self._next.token_type == TokenType.MODEL:
            return self._parse_drop_model()
        return super()._parse_statement()

    def _parse_as_command(self, start: Token) -> exp.Command:
        # A CREATE with a mistake in it would be passed on as it is, with a warning, and its place be lost.
        if start.token_type == TokenType.CREATE:
            self.raise_error("Invalid expression / Unexpected token")
        return super()._parse_as_command(start)

    def _parse_table_parts(
        self, schema: bool = False, is_db_reference: bool = False, wildcard: bool = False, fast: bool = False
    ) -> exp.Table | exp.Dot | None:
        if self._is_ml_call():
            return self.expression(exp.Table(this=self._parse_ml_call()))
        return super()._parse_table_parts(schema, is_db_reference, wildcard, fast)

    def _parse_cte(self) -> exp.CTE | exp.FunctionSpecification | None:
        first = self._curr
        return _spanning(super()._parse_cte(), first, self._prev)

    def _is_ml_call(self) -> bool:
        return _starts_call(self._tokens[self._index : self._index + 4])

    def _parse_ml_call(self) -> MlCall:
        first = self._curr
        self._advance(2)
        call = MlCall(this=self._curr.text.lower(), models=[], inputs=[], settings=[], named=[])
        self._advance(2)
        while self._curr and self._curr.token_type != TokenType.R_PAREN:
            self._parse_ml_argument(call)
            if not self._match(TokenType.COMMA):
                break
        if not self._match(TokenType.R_PAREN):
            self.raise_error(f"Expecting , or ) in ml.{call.this}")
        return _spanning(call, first, self._prev)

    def _parse_ml_argument(self, call: MlCall) -> None:
        first = self._curr
        if self._next.token_type == TokenType.FARROW:
            self._advance(2)
            value_starts = self._curr
            value = self._parse_disjunction()
            if value is None:
                self.raise_error(f"Expecting a value for {first.text}")
            named = exp.Kwarg(this=exp.to_identifier(first.text.lower()), expression=value)
            call.append("named", _spanning(named, value_starts, self._prev))
        elif self._match(TokenType.MODEL):
            call.append("models", self._parse_model_name())
        elif self._match(TokenType.TABLE):
            first = self._curr
            table = super()._parse_table_parts()
            call.append("inputs", _spanning(MlInput(this=table), first, self._prev))
        elif first.token_type == TokenType.L_PAREN:
            self._advance()
            first = self._curr
            query = self._parse_statement()
            call.append("inputs", _spanning(MlInput(this=query), first, self._prev))
            if not self._match(TokenType.R_PAREN):
                self.raise_error(f"Expecting ) after the query in ml.{call.this}")
        else:
            setting = self._parse_disjunction()
            if setting is None:
                self.raise_error(f"Expecting model, table, (query) or struct(...) in ml.{call.this}")
            call.append("settings", _spanning(setting, first, self._prev))

    def _parse_model_name(self) -> MlModel:
        first = self._curr
        name = self._parse_id_var()
        if name is None:
            self.raise_error("Expecting the name of a model")
        version = None
        if self._match(TokenType.PARAMETER):
            version = self._curr.text
            self._advance()
        return _spanning(MlModel(this=name, version=version), first, self._prev)

    def _parse_drop_model(self) -> DropModel:
        self._advance(2)
        exists = bool(self._parse_exists())
        return DropModel(this=self._parse_model_name(), exists=exists)

    def _parse_export_model(self) -> ExportModel:
        self._advance(2)
        name = self._parse_model_name()
        options = self._parse_wrapped_properties() if self._match_text_seq("OPTIONS") else []
        return ExportModel(this=name, options=options)


class WmlDuckDBParser(_MlParser, DuckDBParser):
    """Reads OPTIONS as properties."""

    PROPERTY_PARSERS: ClassVar = {
        **DuckDBParser.PROPERTY_PARSERS,
        "OPTIONS": lambda self: self._parse_with_property(),
    }


class WmlBigQueryParser(_MlParser, BigQueryParser):
    """Knows OPTIONS from BigQuery itself."""


class WmlDuckDB(DuckDB):
    """DuckDB's SQL plus BigQuery ML's statements and table functions."""

    class Tokenizer(DuckDB.Tokenizer):
        """Knows the keyword MODEL; everywhere else the word stays an ordinary name."""

        KEYWORDS: ClassVar = {**DuckDB.Tokenizer.KEYWORDS, "MODEL": TokenType.MODEL}

    Parser = WmlDuckDBParser


class WmlBigQuery(BigQuery):
    """GoogleSQL plus those of BigQuery ML's statements and table functions that its parser lacks."""

    class Tokenizer(BigQuery.Tokenizer):
        """Knows the keyword MODEL; everywhere else the word stays an ordinary name."""

        KEYWORDS: ClassVar = {**BigQuery.Tokenizer.KEYWORDS, "MODEL": TokenType.MODEL}

    Parser = WmlBigQueryParser


_DIALECTS: dict[str, type[Dialect]] = {"duckdb": WmlDuckDB, "bigquery": WmlBigQuery}


def dialect_of(engine: str) -> Dialect:
    """Return the language in which a project's files are written for an engine."""
    return _DIALECTS[engine]()


def span(node: exp.Expr) -> tuple[int, int]:
    """Return where a call, an input, a model's name or a CTE starts in the text that was parsed, and where it ends."""
    start, end = node.meta["wml_start"], node.meta["wml_end"]
    return start, end


def calls_in(
    sql: str, *, place: str, at: Callable[[int | None], str] | None = None, engine: str = "duckdb"
) -> list[MlCall]:
    """Return the ``ml.*`` calls of a statement that stand where a table may, nested ones too.

    Parameters
    ----------
    sql, place, at, engine
        As for ``parse``.

    Raises
    ------
    TemplateError
        If the statement has such calls and cannot be parsed.
    """
    if "ml" not in sql.lower() or not _mentions_call(sql, engine):
        return []
    return list(parse(sql, place=place, at=at, engine=engine).find_all(MlCall))


def parse(sql: str, *, place: str, at: Callable[[int | None], str] | None = None, engine: str = "duckdb") -> exp.Expr:
    """Parse one statement of rendered SQL.

    Parameters
    ----------
    sql : str
        The rendered statement; comments before it are fine.
    place : str
        The file, for errors.
    at : callable, optional
        Returns the place in the file of an offset of ``sql``; by default ``sql`` is the file.
    engine : str
        In whose language it is written.

    Raises
    ------
    TemplateError
        On a syntax error, with line and column, or if there is not exactly one statement.
    """
    at = at or SourceText(sql, place).at
    try:
        trees = [tree for tree in dialect_of(engine).parse(sql) if tree is not None]
    except (ParseError, TokenError) as error:
        raise _syntax_error(sql, error, at, engine) from None
    if len(trees) != 1:
        raise TemplateError(
            f"one statement expected, found {len(trees)}",
            place=at(_second_statement(sql, engine)) if trees else place,
            hint="put each statement into a file of its own",
        )
    if isinstance(trees[0], exp.Command):
        raise TemplateError(f"this statement is not understood: {trees[0].this}", place=place)
    return trees[0]


def _mentions_call(sql: str, engine: str) -> bool:
    try:
        tokens = dialect_of(engine).tokenize(sql)
    except TokenError:
        return False
    return any(_starts_call(tokens[index : index + 4]) for index in range(len(tokens) - 3))


def _starts_call(tokens: list[Token]) -> bool:
    kinds = [token.token_type for token in tokens]
    is_called = len(kinds) == 4 and (kinds[1], kinds[3]) == (TokenType.DOT, TokenType.L_PAREN)
    return is_called and kinds[0] != TokenType.STRING and tokens[0].text.lower() == "ml"


def _spanning(node: _Node, first: Token, last: Token) -> _Node:
    if node is not None:
        node.meta["wml_start"], node.meta["wml_end"] = first.start, last.end + 1
    return node


def start_of(node: exp.Expr) -> int | None:
    """Return the offset at which an expression starts, as far as the parser kept it: that of its first name."""
    starts = [part.meta["start"] for part in node.walk() if "start" in part.meta]
    return min(starts) if starts else None


def _syntax_error(sql: str, error: ParseError | TokenError, at: Callable[[int | None], str], engine: str) -> WmlError:
    details = error.errors[0] if isinstance(error, ParseError) and error.errors else None
    if not details:
        unclosed = _unclosed(sql, engine)
        what = str(error) if unclosed is None else f"{_OPENS[engine][sql[unclosed]]} is not closed"
        return TemplateError(f"SQL syntax: {what}", place=at(unclosed))
    # The parser tells where the word ends.
    line_start = sum(len(line) for line in sql.splitlines(keepends=True)[: (details["line"] or 1) - 1])
    position = line_start + max(0, details["col"] - len(details["highlight"]))
    near = " ".join(part for part in (details["start_context"][-30:], details["highlight"]) if part)
    return TemplateError(
        f'SQL syntax: {details["description"].rstrip(".")} near "{" ".join(near.split())}"', place=at(position)
    )


def _second_statement(sql: str, engine: str) -> int | None:
    tokens = dialect_of(engine).tokenize(sql)
    ends = [index for index, token in enumerate(tokens) if token.token_type == TokenType.SEMICOLON]
    return next((tokens[index + 1].start for index in ends if index + 1 < len(tokens)), None)


def _unclosed(sql: str, engine: str) -> int | None:
    """Return where the string, name or comment starts that has no end: before it, all is well."""
    for position in range(len(sql) - 1, -1, -1):
        if sql[position] in _OPENS[engine] and (sql[position] != "/" or sql.startswith("/*", position)):
            try:
                dialect_of(engine).tokenize(sql[:position])
            except TokenError:
                continue
            return position
    return None
