"""Constructs that show in the words of a statement."""

from __future__ import annotations

from collections.abc import Iterator

from sqlglot.tokenizer_core import Token, TokenType

from warehouse_ml.portability.tree import Reading

__all__ = ["in_words"]

Found = Iterator[tuple[str, int]]

_SIGNS = {
    TokenType.DCOLON: "cast-operator",
    TokenType.DIV: "whole-division",
    TokenType.MOD: "modulo",
    TokenType.DARROW: "json-arrow",
    TokenType.HASH_ARROW: "json-arrow",
    TokenType.DHASH_ARROW: "json-arrow",
    TokenType.ILIKE: "ilike",
    TokenType.L_BRACE: "struct-literal",
}
_SET_WORDS = (TokenType.UNION, TokenType.EXCEPT, TokenType.INTERSECT)
_AFTER_SET = ("ALL", "DISTINCT", "BY")
_OPENS_QUERY = (TokenType.L_PAREN, TokenType.ALL, TokenType.UNION)


def in_words(reading: Reading) -> Found:
    """Yield the code and offset of each construct that a word or sign tells."""
    tokens = reading.tokens
    for index, token in enumerate(tokens):
        before = tokens[index - 1] if index else None
        after = tokens[index + 1] if index + 1 < len(tokens) else None
        if token.token_type == TokenType.PIPE_GT:
            yield "pipe", token.start
        yield from _of_either(token, before, after)
        yield from _of_duckdb(reading, token) if reading.engine == "duckdb" else _of_bigquery(reading, token)


def _of_either(token: Token, before: Token | None, after: Token | None) -> Found:
    kind = token.token_type
    if kind in _SIGNS:
        yield _SIGNS[kind], token.start
    elif kind == TokenType.FROM and (before is None or before.token_type in _OPENS_QUERY):
        yield "from-first", token.start
    elif kind == TokenType.INTERVAL and after is not None and after.token_type == TokenType.STRING:
        if any(letter.isalpha() for letter in after.text):
            yield "interval-text", token.start
    elif kind in _SET_WORDS and after is not None and after.text.upper() not in _AFTER_SET:
        is_of_star = before is not None and before.token_type == TokenType.STAR
        if not is_of_star:
            yield "plain-union", token.start
    elif before is not None and before.token_type == TokenType.STAR and token.text.upper() == "EXCLUDE":
        yield "star-exclude", token.start


def _of_duckdb(reading: Reading, token: Token) -> Found:
    kind, raw = token.token_type, reading.sql[token.start : token.end + 1]
    if kind == TokenType.IDENTIFIER and raw.startswith('"'):
        yield "quoted-name", token.start
    elif kind == TokenType.STRING and raw.startswith("'"):
        if "\\" in raw:
            yield "backslash", token.start
        if "''" in raw[1:-1]:
            yield "doubled-quote", token.start


def _of_bigquery(reading: Reading, token: Token) -> Found:
    kind, raw = token.token_type, reading.sql[token.start : token.end + 1]
    if kind in (TokenType.RAW_STRING, TokenType.BYTE_STRING, TokenType.HEREDOC_STRING):
        yield "google-text", token.start
    elif kind == TokenType.STRING:
        if not raw.startswith("'") or raw.startswith("'''"):
            yield "google-text", token.start
        elif "\\" in raw:
            yield "backslash", token.start
