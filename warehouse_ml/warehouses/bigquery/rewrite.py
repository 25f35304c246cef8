"""What a statement is, and its last words: names and parameters put in their places, token by token."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass
from typing import Any

from sqlglot.dialects.bigquery import BigQuery
from sqlglot.errors import TokenError
from sqlglot.tokenizer_core import Token, TokenType

from warehouse_ml.warehouses.base import WML, Relation

__all__ = ["FILE", "Kind", "kind_of", "relation_read", "rewritten"]

FILE = "file:"
"""How the name of a table begins that is a file of this machine: its path follows, dots and percents encoded."""

_CHANGES = {"INSERT", "UPDATE", "DELETE", "MERGE", "TRUNCATE"}
_DEFINES = {"CREATE", "ALTER", "DROP"}
_READS = {"SELECT", "WITH", "("}
_TEMPORARY = {"TEMP", "TEMPORARY"}
_SESSION = "_session"
_OBJECTS = {"TABLE", "VIEW", "FUNCTION", "SCHEMA", "MODEL", "PROCEDURE"}


@dataclass(frozen=True)
class Kind:
    """What a statement does.

    Parameters
    ----------
    verb : str
        ``read``, ``change`` (rows of tables), ``define`` (tables and views) or ``other``.
    action : str
        Its first word, in capitals.
    is_temporary : bool
        Whether it defines something of this connection alone.
    is_several : bool
        Whether another statement follows.
    what : str
        TABLE, VIEW... of a definition, in capitals, else empty.
    relation : Relation or None
        What it defines, if that is a table or a view.
    replaces : bool
        Whether what is there goes: create or replace, drop.
    """

    verb: str
    action: str = ""
    is_temporary: bool = False
    is_several: bool = False
    what: str = ""
    relation: Relation | None = None
    replaces: bool = False


def kind_of(sql: str, temporary: Set[str] = frozenset()) -> Kind:
    """Return what a statement does, going by its first words.

    Parameters
    ----------
    sql : str
    temporary : set of str
        Tables of this connection, in lower case.
    """
    tokens = _tokens(sql)
    if not tokens:
        return Kind("other")
    action = tokens[0].text.upper()
    is_several = any(
        token.token_type == TokenType.SEMICOLON and index < len(tokens) - 1 for index, token in enumerate(tokens)
    )
    if action in _READS:
        return Kind("read", action, is_several=is_several)
    if action in _CHANGES:
        return Kind("change", action, is_several=is_several)
    if action not in _DEFINES:
        return Kind("other", action, is_several=is_several)
    words = [token.text.upper() for token in tokens[1:6]]
    what = "FUNCTION" if "FUNCTION" in words else next((word for word in words if word in _OBJECTS), "")
    relation = _named(tokens, what) if what in {"TABLE", "VIEW"} else None
    is_temporary = bool(_TEMPORARY & set(words[:3]))
    if relation is not None and (relation.schema or "").lower() == _SESSION:
        relation, is_temporary = Relation(relation.name), True
        return Kind("define", action, is_temporary, is_several, what, relation, action == "DROP")
    if relation is not None and relation.schema is None and action != "CREATE":
        is_temporary = relation.name.lower() in temporary
    replaces = action == "DROP" or (action == "CREATE" and words[:2] == ["OR", "REPLACE"])
    return Kind("define", action, is_temporary, is_several, what, relation, replaces)


def rewritten(
    sql: str,
    parameters: Mapping[str, Any],
    *,
    wml_dataset: str = WML,
    file_table: Callable[[str], Relation] | None = None,
) -> str:
    """Return a statement with nulls, datasets and files in their places.

    A parameter that is None is written as ``null``, which fits every type, where a parameter of no value needs one.
    ``wml.x`` becomes ``<wml_dataset>.x``. A table whose name begins with ``file:`` becomes what ``file_table`` says
    of its path.
    """
    nulls = {name.lower() for name, value in parameters.items() if value is None}
    has_files = file_table is not None and f"`{FILE}" in sql
    if not nulls and not has_files and (wml_dataset == WML or WML not in sql.lower()):
        return sql
    tokens = _tokens(sql)
    parts: list[str] = []
    end = 0
    for index, token in enumerate(tokens):
        following = tokens[index + 1] if index + 1 < len(tokens) else None
        text, last = None, token
        if token.token_type == TokenType.PARAMETER and following is not None and following.text.lower() in nulls:
            text, last = "null", following
        elif has_files and token.token_type == TokenType.IDENTIFIER and token.text.startswith(FILE) and file_table:
            relation = file_table(token.text)
            schema = wml_dataset if relation.schema == WML else relation.schema
            text = f"`{schema}`.`{relation.name}`" if schema else f"`{relation.name}`"
        elif _is_wml(token, following, tokens[index - 1] if index else None):
            text = f"`{wml_dataset}`"
        if text is not None:
            parts += [sql[end : token.start], text]
            end = last.end + 1
    return "".join([*parts, sql[end:]])


def relation_read(sql: str) -> Relation | None:
    """Return the one table or view whose every column and row a query reads, ``select a.* from x as a``, or None."""
    tokens = _tokens(sql)
    words = [token.text.upper() for token in tokens]
    if words[:1] != ["SELECT"] or words[2:5] != [".", "*", "FROM"] or words[-2:] != ["AS", words[1]]:
        return None
    parts = tokens[5:-2]
    if not parts or any((token.text == ".") != bool(index % 2) for index, token in enumerate(parts)):
        return None
    names = [name for token in parts[::2] for name in token.text.split(".")]
    return Relation(names[-1], names[-2] if len(names) > 1 else None)


def _is_wml(token: Token, following: Token | None, before: Token | None) -> bool:
    return (
        token.token_type in {TokenType.IDENTIFIER, TokenType.VAR}
        and token.text.lower() == WML
        and following is not None
        and following.token_type == TokenType.DOT
        and (before is None or before.token_type != TokenType.DOT)
    )


def _named(tokens: list[Token], what: str) -> Relation | None:
    index = next(i for i, token in enumerate(tokens) if token.text.upper() == what) + 1
    words = [token.text.upper() for token in tokens[index : index + 3]]
    if words[:1] == ["IF"]:
        index += 3 if words[1:2] == ["NOT"] else 2
    parts: list[str] = []
    while index < len(tokens):
        # A name in one pair of backticks may hold its dots.
        parts += tokens[index].text.split(".")
        if index + 2 >= len(tokens) or tokens[index + 1].token_type != TokenType.DOT:
            break
        index += 2
    return Relation(parts[-1], ".".join(parts[:-1]) or None) if parts else None


def _tokens(sql: str) -> list[Token]:
    try:
        return list(BigQuery().tokenize(sql))
    except TokenError:
        # The service says better what it does not understand.
        return []
