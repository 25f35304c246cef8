"""DuckDB's SQL with BigQuery ML's CREATE MODEL in it, as a sqlglot dialect.

The body of a model is the target's own SQL, so the dialect extends the target's and adds only what is BigQuery ML's.
"""

from __future__ import annotations

from typing import ClassVar

from sqlglot import exp
from sqlglot.dialects.duckdb import DuckDB
from sqlglot.errors import ParseError, TokenError
from sqlglot.parsers.duckdb import DuckDBParser
from sqlglot.tokenizer_core import TokenType

from warehouse_ml.errors import TemplateError, WmlError

__all__ = ["WmlDuckDB", "parse"]


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


def parse(sql: str, *, place: str, first_line: int = 1) -> exp.Expr:
    """Parse one statement of rendered SQL.

    Parameters
    ----------
    sql : str
        The rendered statement; comments before it are fine.
    place : str
        The file, for errors.
    first_line : int
        The file's line on which ``sql`` starts.

    Raises
    ------
    TemplateError
        On a syntax error, with line and column, or if there is not exactly one statement.
    """
    try:
        trees = [tree for tree in WmlDuckDB().parse(sql) if tree is not None]
    except (ParseError, TokenError) as error:
        raise _syntax_error(error, place, first_line) from None
    if len(trees) != 1:
        raise TemplateError(
            f"one statement expected, found {len(trees)}", place=place, hint="put each statement into a file of its own"
        )
    if isinstance(trees[0], exp.Command):
        raise TemplateError(f"this statement is not understood: {trees[0].this}", place=place)
    return trees[0]


def _syntax_error(error: ParseError | TokenError, place: str, first_line: int) -> WmlError:
    details = error.errors[0] if isinstance(error, ParseError) and error.errors else None
    if not details:
        return TemplateError(f"SQL syntax: {error}", place=place)
    line = first_line + (details["line"] or 1) - 1
    near = " ".join(part for part in (details["start_context"][-30:], details["highlight"]) if part)
    return TemplateError(
        f'SQL syntax: {details["description"].rstrip(".")} near "{" ".join(near.split())}"',
        place=f"{place}:{line}:{details['col']}",
    )
