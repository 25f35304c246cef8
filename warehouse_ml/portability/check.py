"""The portability of a project's own files, and of texts given."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from warehouse_ml import templates
from warehouse_ml.catalog import Catalog, Clock, Node
from warehouse_ml.places import SourceText, trace
from warehouse_ml.portability.nodes import in_tree
from warehouse_ml.portability.rules import RULES, Rule
from warehouse_ml.portability.tree import Reading, read
from warehouse_ml.portability.words import in_words

__all__ = ["Finding", "check_file", "check_project", "check_text"]

_ENGINES = ("duckdb", "bigquery")
_CLOCK = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)


@dataclass(frozen=True)
class Finding:
    """A construct in a file.

    Parameters
    ----------
    level : str
        One of ``LEVELS``.
    rule : Rule
    place : str
        File, line and column.
    """

    level: str
    rule: Rule
    place: str

    def row(self) -> dict[str, str]:
        """Return what is printed."""
        rule = self.rule
        return {
            "level": self.level,
            "code": rule.code,
            "place": self.place,
            "construct": rule.construct,
            "why": rule.why,
            "fix": rule.fix,
        }


def check_text(
    sql: str,
    *,
    engine: str,
    at: Callable[[int], str],
    refusing: frozenset[str] = frozenset(),
    is_written: Callable[[int], bool] = lambda position: True,
) -> list[Finding]:
    """Look through one statement.

    Parameters
    ----------
    sql : str
        Rendered for the engine.
    engine : str
        In whose language it is written.
    at : callable
        Returns the place in the file of an offset of ``sql``.
    refusing : frozenset of str
        The engines it shall run on: what one of them refuses is an error.
    is_written : callable
        Whether the character at an offset stands in the file, and was not written by a macro.

    Returns
    -------
    list of Finding
        In the order of the text, each construct once a place.
    """
    refusing |= {engine}
    reading = read(sql, engine)
    found: set[tuple[int, str]] = set()
    if reading is None:
        other = next(name for name in _ENGINES if name != engine)
        reading = read(sql, other)
        if reading is None:
            # The warehouse will say what it is.
            return []
        found.add((0, "syntax"))
    found |= {(position, code) for code, position in _all(reading) if is_written(position)}
    findings = []
    for position, code in sorted(found):
        rule = RULES[code]
        refused_by = rule.refused_by if code != "syntax" else frozenset({engine})
        # Where each engine has words of its own, those of the language it is written in are not refused there.
        own = {reading.engine} if len(refused_by) > 1 else set()
        is_refused = bool(refused_by & (refusing - own))
        findings.append(Finding("error" if is_refused else rule.level, rule, at(position)))
    return findings


def check_file(source: str, *, place: str, engine: str, refusing: frozenset[str] = frozenset()) -> list[Finding]:
    """Look through a template that is no file of a project: it may use the portable macros alone.

    Raises
    ------
    TemplateError
        If it does not render.
    """

    def render(template: str) -> str:
        return templates.render(template, engine, {}, place=place)

    text = render(source)
    origins = SourceText(text, place, lambda: trace(source, text, templates.user_environment(engine), render))
    return check_text(text, engine=engine, at=origins.at, refusing=refusing, is_written=origins.is_written)


def check_project(
    catalog: Catalog,
    *,
    written_for: str,
    refusing: frozenset[str] = frozenset(),
    nodes: Sequence[Node] | None = None,
) -> Iterator[Finding]:
    """Look through the files of a project, each rendered once.

    Parameters
    ----------
    catalog : Catalog
        Of the target in whose language the files are written.
    written_for : str
        That target's engine.
    refusing : frozenset of str
        As for ``check_text``.
    nodes : sequence of Node, optional
        The files; by default every one.
    """
    for node in sorted(catalog.nodes.values() if nodes is None else nodes, key=lambda node: node.place):
        source = catalog.source_text(node, _clock(node))
        yield from check_text(
            source.text, engine=written_for, at=source.at, refusing=refusing, is_written=source.is_written
        )


def _clock(node: Node) -> Clock:
    # Any two versions do to show what a rule about a promotion says.
    return Clock(_CLOCK, _CLOCK, 2, 1) if node.config.get("on") == "promote" else Clock(_CLOCK, _CLOCK)


def _all(reading: Reading) -> Iterator[tuple[str, int]]:
    yield from in_words(reading)
    yield from in_tree(reading)
