"""Where in the user's own file the characters of rendered SQL come from.

A template is rendered a second time with a mark before and after each piece of its text and each expression; the marks
tell which piece wrote which characters. This is done only for a message: what runs never holds a mark.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import jinja2

from warehouse_ml.errors import SqlError, WmlError

__all__ = ["Origins", "SourceText", "trace"]

# Supplementary private-use characters: no text has them by accident, and one that has is not traced.
_FIRST, _LAST, _CLOSE = 0xF0000, 0x10FFFC, chr(0x10FFFD)
_MARK = re.compile("([\U000f0000-\U0010fffd])")

_KEPT_TEXT = ("set", "macro", "call", "filter")
"""Blocks whose text is a value first: an expression may measure it, and then a mark in it changes the result."""


@dataclass(frozen=True)
class _Piece:
    """A part of a template that writes text: ``length`` characters as they stand there, or 0 for an expression."""

    start: int
    length: int


@dataclass
class Origins:
    """Which offset of a template each character of its rendered text has.

    Parameters
    ----------
    source : str
        The template, its lines parted by line feeds alone.
    starts : list of int
        Offsets in the rendered text, ascending, at which a run of characters begins.
    offsets : list of int
        Where in the template each run begins.
    lengths : list of int
        How many characters of a run stand in the template one by one; the others belong to its start.
    """

    source: str
    starts: list[int] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)

    def at(self, position: int) -> tuple[int, int]:
        """Return line and column, counted from 1, of an offset in the rendered text."""
        index = bisect_right(self.starts, position) - 1
        if index < 0:
            return 1, 1
        offset = self.offsets[index] + min(position - self.starts[index], self.lengths[index])
        return _line_and_column(self.source, offset)

    def is_written(self, position: int) -> bool:
        """Whether the character at an offset of the rendered text stands in the template itself."""
        index = bisect_right(self.starts, position) - 1
        return index >= 0 and position - self.starts[index] < self.lengths[index]

    def add(self, start: int, offset: int, length: int) -> None:
        """Append a run."""
        self.starts.append(start)
        self.offsets.append(offset)
        self.lengths.append(length)


class SourceText:
    """Rendered SQL that knows its places in the file it was written in.

    Parameters
    ----------
    text : str
        The rendered SQL.
    place : str
        The file, as errors show it.
    origins : callable, optional
        Finds the origins of the text when the first place is asked for; None if they cannot be found. Left out when
        the text is the file's own.
    """

    def __init__(self, text: str, place: str, origins: Callable[[], Origins | None] | None = None) -> None:
        self.text = text
        self.place = place
        self._find = origins
        self._found: Origins | None = None

    def line_and_column(self, position: int) -> tuple[int, int | None]:
        """Return where an offset of the text is in the file, from 1; the column is None where it is not known."""
        position = min(max(position, 0), len(self.text))
        if self._find is None:
            return _line_and_column(self.text, position)
        self._found = self._found or self._find()
        if self._found is None:
            return _line_and_column(self.text, position)[0], None
        return self._found.at(position)

    def is_written(self, position: int) -> bool:
        """Whether the character at an offset stands in the file, and was not written by an expression of it."""
        if self._find is None:
            return True
        self._found = self._found or self._find()
        return self._found is None or self._found.is_written(position)

    def at(self, position: int | None) -> str:
        """Return the place of an offset of the text, ``file:line:column``; the file alone if there is no offset."""
        if position is None:
            return self.place
        line, column = self.line_and_column(position)
        return f"{self.place}:{line}" if column is None else f"{self.place}:{line}:{column}"

    def position_of(self, error: SqlError, part: str | None = None, start: int = 0) -> int | None:
        """Return which offset of the text an error is about, or None if it is about none.

        Parameters
        ----------
        error : SqlError
            With the statement that was sent, which holds the text, or a part of it, as it is.
        part : str, optional
            What of the text was sent; all of it by default.
        start : int
            The offset of ``part`` in the text.
        """
        if error.sql is None or error.position is None:
            return None
        wanted = self.text if part is None else part
        # Statements are sent without the white space around them.
        core = wanted.strip().rstrip(";").rstrip()
        sent_at = error.sql.find(core) if core else -1
        offset = error.position - sent_at
        if sent_at < 0 or not 0 <= offset <= len(core):
            return None
        return start + len(wanted) - len(wanted.lstrip()) + offset


def trace(source: str, rendered: str, environment: jinja2.Environment, render: Callable[[str], str]) -> Origins | None:
    """Find the origins of a rendered text.

    Parameters
    ----------
    source : str
        The template.
    rendered : str
        What it renders to.
    environment : jinja2.Environment
        Whose syntax the template is written in.
    render : callable
        Renders another template with the same names; may raise a WmlError.

    Returns
    -------
    Origins or None
        None if marks would change what the template renders to, so that nothing exact can be said.
    """
    source = source.replace("\r\n", "\n").replace("\r", "\n")
    if _MARK.search(source) or _MARK.search(rendered):
        return None
    tokens = list(_tokens(environment, source))
    # A template may measure text that it keeps; then only what is written at once is marked.
    for is_everything in (True, False):
        marked, pieces = _marked(source, tokens, is_everything)
        if _FIRST + len(pieces) > _LAST:
            continue
        try:
            text = render(marked)
        except WmlError:
            continue
        origins = _read(text, pieces, source) if _MARK.sub("", text) == rendered else None
        if origins is not None:
            return origins
    return None


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    start: int

    @property
    def stop(self) -> int:
        return self.start + len(self.text)


def _tokens(environment: jinja2.Environment, source: str) -> Iterator[_Token]:
    """Yield the template's tokens with their offsets, which the lexer does not tell."""
    position = 0
    for _, kind, text in environment.lex(source):
        # Only before a tag may something be missing: the white space that `{%-` takes away.
        start = source.index(text, position)
        yield _Token(kind, text, start)
        position = start + len(text)


def _marked(source: str, tokens: Sequence[_Token], is_everything: bool) -> tuple[str, list[_Piece]]:
    """Return the template with its pieces marked, and the pieces."""
    out: list[str] = []
    pieces: list[_Piece] = []
    kept: list[str] = []
    closing = ""
    position = 0

    def opened(start: int, length: int = 0) -> str:
        pieces.append(_Piece(start, length))
        return chr(_FIRST + len(pieces) - 1)

    for index, token in enumerate(tokens):
        before, gap, text, after = "", source[position : token.start], token.text, ""
        is_marked = is_everything or not kept
        if token.kind == "data" and is_marked and text.strip():
            # White space stays outside, where filters such as trim and indent look for it.
            left, core = len(text) - len(text.lstrip()), text.strip()
            text = text[:left] + opened(token.start + left, len(core)) + core + _CLOSE + text[left + len(core) :]
        elif token.kind == "variable_begin" and is_marked:
            # White space before the tag stays beside it, where the tag takes it away.
            before = opened(token.start)
        elif token.kind == "variable_end" and is_marked:
            after = _CLOSE
        elif token.kind == "block_begin":
            keyword = _keyword(tokens, index)
            if keyword in ("call", "filter") and is_marked:
                before = opened(token.start)
            if keyword in _KEPT_TEXT:
                kept.append(keyword)
            elif keyword.startswith("end") and kept and kept[-1] == keyword[3:]:
                kept.pop()
                is_marked = is_everything or not kept
                closing = _CLOSE if keyword in ("endcall", "endfilter") and is_marked else ""
        elif token.kind == "block_end":
            after, closing = closing, ""
        out += [before, gap, text, after]
        position = token.stop
    out.append(source[position:])
    return "".join(out), pieces


def _keyword(tokens: Sequence[_Token], index: int) -> str:
    """Return the word that a block starts with; ``set`` only where it is the block that keeps a text."""
    inside: list[_Token] = []
    for token in tokens[index + 1 :]:
        if token.kind == "block_end":
            break
        if token.kind != "whitespace":
            inside.append(token)
    if not inside:
        return ""
    depth = 0
    for token in inside if inside[0].text == "set" else ():
        depth += {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}.get(token.text, 0)
        if token.text == "=" and depth == 0:
            return ""
    return inside[0].text


def _read(text: str, pieces: Sequence[_Piece], source: str) -> Origins | None:
    """Take the marks out of a rendered text and note what they say; None if they do not match each other."""
    origins = Origins(source)
    open_pieces: list[_Piece] = []
    position = 0
    for part in _MARK.split(text):
        if part == _CLOSE:
            if not open_pieces:
                return None
            open_pieces.pop()
        elif part and _MARK.match(part):
            open_pieces.append(pieces[ord(part) - _FIRST])
        else:
            if open_pieces and part:
                _add(origins, position, part, open_pieces[-1])
            elif part.strip():
                return None
            position += len(part)
    return None if open_pieces else origins


def _add(origins: Origins, position: int, part: str, piece: _Piece) -> None:
    written = origins.source[piece.start : piece.start + piece.length]
    if len(part) == len(written) or part.count("\n") != written.count("\n"):
        origins.add(position, piece.start, piece.length if len(part) == len(written) else 0)
        return
    # A filter such as indent has changed the lines one by one; what they end with is the same.
    offset = piece.start
    for shown, was in zip(part.split("\n"), written.split("\n"), strict=True):
        origins.add(position, offset, 0)
        origins.add(position + max(0, len(shown) - len(was)), offset + max(0, len(was) - len(shown)), len(was))
        position, offset = position + len(shown) + 1, offset + len(was) + 1


def _line_and_column(text: str, offset: int) -> tuple[int, int]:
    return text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)
