"""DuckDB's SQL with BigQuery ML's CREATE MODEL in it, as a sqlglot dialect.

The body of a model is the target's own SQL, so the dialect extends the target's and adds only what is BigQuery ML's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from sqlglot import exp
from sqlglot.dialects.duckdb import DuckDB
from sqlglot.errors import ParseError, TokenError
from sqlglot.parsers.duckdb import DuckDBParser
from sqlglot.tokenizer_core import Token, TokenType

from warehouse_ml.errors import TemplateError, WmlError
from warehouse_ml.places import SourceText

__all__ = ["WmlDuckDB", "parse", "start_of"]


_OPENS = {"'": "this string", '"': "this name", "/": "this comment"}


class WmlDuckDB(DuckDB):
    """DuckDB's SQL plus ``create model ... transform (...) options (...) as select``."""

    class Tokenizer(DuckDB.Tokenizer):
        """Knows the keyword MODEL; everywhere else the word stays an ordinary name."""

        KEYWORDS: ClassVar = {**DuckDB.Tokenizer.KEYWORDS, "MODEL": TokenType.MODEL}

    class Parser(DuckDBParser):
        """Reads OPTIONS as properties; TRANSFORM is read by the base parser already."""

        PROPERTY_PARSERS: ClassVar = {
            **DuckDBParser.PROPERTY_PARSERS,
            "OPTIONS": lambda self: self._parse_with_property(),
        }

        def _parse_as_command(self, start: Token) -> exp.Command:
            # A CREATE with a mistake in it would be passed on as it is, with a warning, and its place be lost.
            if start.token_type == TokenType.CREATE:
                self.raise_error("Invalid expression / Unexpected token")
            return super()._parse_as_command(start)


def parse(sql: str, *, place: str, at: Callable[[int | None], str] | None = None) -> exp.Expr:
    """Parse one statement of rendered SQL.

    Parameters
    ----------
    sql : str
        The rendered statement; comments before it are fine.
    place : str
        The file, for errors.
    at : callable, optional
        Returns the place in the file of an offset of ``sql``; by default ``sql`` is the file.

    Raises
    ------
    TemplateError
        On a syntax error, with line and column, or if there is not exactly one statement.
    """
    at = at or SourceText(sql, place).at
    try:
        trees = [tree for tree in WmlDuckDB().parse(sql) if tree is not None]
    except (ParseError, TokenError) as error:
        raise _syntax_error(sql, error, at) from None
    if len(trees) != 1:
        raise TemplateError(
            f"one statement expected, found {len(trees)}",
            place=at(_second_statement(sql)) if trees else place,
            hint="put each statement into a file of its own",
        )
    if isinstance(trees[0], exp.Command):
        raise TemplateError(f"this statement is not understood: {trees[0].this}", place=place)
    return trees[0]


def start_of(node: exp.Expr) -> int | None:
    """Return the offset at which an expression starts, as far as the parser kept it: that of its first name."""
    starts = [part.meta["start"] for part in node.walk() if "start" in part.meta]
    return min(starts) if starts else None


def _syntax_error(sql: str, error: ParseError | TokenError, at: Callable[[int | None], str]) -> WmlError:
    details = error.errors[0] if isinstance(error, ParseError) and error.errors else None
    if not details:
        unclosed = _unclosed(sql)
        what = str(error) if unclosed is None else f"{_OPENS[sql[unclosed]]} is not closed"
        return TemplateError(f"SQL syntax: {what}", place=at(unclosed))
    # The parser tells where the word ends.
    line_start = sum(len(line) for line in sql.splitlines(keepends=True)[: (details["line"] or 1) - 1])
    position = line_start + max(0, details["col"] - len(details["highlight"]))
    near = " ".join(part for part in (details["start_context"][-30:], details["highlight"]) if part)
    return TemplateError(
        f'SQL syntax: {details["description"].rstrip(".")} near "{" ".join(near.split())}"', place=at(position)
    )


def _second_statement(sql: str) -> int | None:
    tokens = WmlDuckDB().tokenize(sql)
    ends = [index for index, token in enumerate(tokens) if token.token_type == TokenType.SEMICOLON]
    return next((tokens[index + 1].start for index in ends if index + 1 < len(tokens)), None)


def _unclosed(sql: str) -> int | None:
    """Return where the string, name or comment starts that has no end: before it, all is well."""
    for position in range(len(sql) - 1, -1, -1):
        if sql[position] in "'\"" or sql.startswith("/*", position):
            try:
                WmlDuckDB().tokenize(sql[:position])
            except TokenError:
                continue
            return position
    return None
