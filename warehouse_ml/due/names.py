"""What a rule's template may call beside the names of every template: the macros of macros.sql, bound to the rule."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import lru_cache
from importlib.resources import files
from typing import Any

import jinja2

from warehouse_ml.commits import git_state
from warehouse_ml.due.cron import read_schedule
from warehouse_ml.errors import TemplateError, did_you_mean
from warehouse_ml.project import Project
from warehouse_ml.template_cache import compiled
from warehouse_ml.templates import environment, literal

__all__ = ["rule_macros"]

_FILE = "macros.sql"
_CHAMPION, _NEWEST, _SERVED = "champion", "newest", "served"


def rule_macros(
    rule: str,
    names: Mapping[str, Any],
    config: Mapping[str, Any],
    as_of: dt.datetime,
    project: Project,
    engine: str,
    definition_hash: Callable[[str], str] | None,
) -> dict[str, Any]:
    """Return the macros of rules, by name, for one rule at one clock.

    Parameters
    ----------
    rule : str
        Its file's stem.
    names : mapping
        What every template may use.
    config : mapping
        What the rule's ``config(...)`` says by the time a macro is called.
    as_of : datetime
        The clock.
    project : Project
    engine : str
    definition_hash : callable or None
        Of the name of a model, the hash of its definition with all that it reads, as the project has it; None while the
        files are being read, when there is no telling yet.

    Raises
    ------
    TemplateError
        When a macro is called with what it cannot mean.
    """
    models = {file.name.lower(): file.name for file in project.of_kind("model")}
    evaluations = sorted(file.name for file in project.of_kind("evaluation"))

    def subject(model: str | None) -> str | None:
        wanted = model if model is not None else config.get("model")
        if wanted is None:
            return None
        found = models.get(str(wanted).lower())
        if found is None:
            known = sorted(models.values())
            raise TemplateError(f'no model "{wanted}" in models/', has=known, hint=did_you_mean(str(wanted), known))
        return found

    def model_of(macro: str, model: str | None) -> str:
        found = subject(model)
        if found is None:
            hint = f"before the call: config(on='...', model='...'); or {macro}(..., model='...')"
            raise TemplateError(f"{macro} does not say which model it is about", has=sorted(models.values()), hint=hint)
        return found

    def evaluation_of(evaluation: str | None) -> str | None:
        return None if evaluation is None else _one_of(evaluation, "evaluation", evaluations)

    def window_version(version: Any) -> int | str:
        if version is not None:
            return _version(version, (_SERVED, _CHAMPION, _NEWEST))
        # What a predecessor did is no reason to train its successor again, but a reason to tell a person.
        return _CHAMPION if config.get("on") in ("retrain", "fallback") else _SERVED

    def last_instant(schedule: str, timezone: str) -> str:
        return literal(read_schedule(schedule, timezone).last(as_of), engine)

    helpers = {
        "rule_name": rule,
        # Asked when a macro is called, as the config may stand in the same template.
        "trains": lambda: config.get("on") == "retrain",
        "subject": subject,
        "model_of": model_of,
        "evaluation_of": evaluation_of,
        "last_instant": last_instant,
        "definition_hash": definition_hash or (lambda _: ""),
        "commit": lambda: git_state(project.root)[0] if definition_hash else None,
        "number": lambda value, what: literal(_number(value, what), engine),
        "one_of": _one_of,
        "count_of": _count,
        "texts": _texts,
        "pairs": _pairs,
        "version_of": lambda version: _version(version, (_NEWEST, _CHAMPION)),
        "window_version": window_version,
    }
    module = _template(engine).make_module({**names, **helpers})
    return {name: value for name, value in vars(module).items() if not name.startswith("_")}


@lru_cache(maxsize=8)
def _template(engine: str) -> jinja2.Template:
    source = (files(__package__) / _FILE).read_text(encoding="utf-8")
    env = environment(engine)
    # Under a name of its own, so that an error is told at the line of the rule that calls.
    return compiled(env, source, engine, _FILE)


def _number(value: Any, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TemplateError(f"{what} = {value!r} is not a number")
    return float(value)


def _count(value: Any, what: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise TemplateError(f"{what} = {value!r} is not a whole number from 1 up")
    return value


def _pairs(column: str, names: Collection[str]) -> list[tuple[str, str]]:
    return [(column, name) for name in names]


def _one_of(value: Any, what: str, known: Sequence[str]) -> str:
    if value not in known:
        raise TemplateError(f'{what}: no "{value}"', has=known, hint=did_you_mean(str(value), known))
    return str(value)


def _texts(value: Any, what: str) -> list[str] | None:
    """Return one text or several as a list; None for ``'*'``, which is all of them."""
    found = [value] if isinstance(value, str) else value
    if not isinstance(found, (list, tuple)) or not found or not all(isinstance(item, str) for item in found):
        raise TemplateError(f"{what} = {value!r} is not a name, a list of names, or '*' for all")
    return None if "*" in found else list(found)


def _version(value: Any, known: Sequence[str]) -> int | str:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    return _one_of(value, "version", known)
