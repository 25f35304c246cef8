"""Jinja over SQL: the toolkit's own statements and the user's templates, in one sandboxed environment.

Templates render first and are parsed as SQL afterwards, never the other way round. Names go through ``ident``, values
through ``param`` or ``literal``, so that no value can end a string or a name.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Any

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment
from sqlglot import exp

from warehouse_ml.errors import TemplateError, WmlError, did_you_mean
from warehouse_ml.template_cache import compiled
from warehouse_ml.warehouses.base import WML, Relation

__all__ = [
    "ENGINES",
    "environment",
    "literal",
    "macro_source",
    "macros",
    "missing",
    "render",
    "statement",
    "statements",
    "user_environment",
]


ENGINES = ("bigquery", "duckdb")
"""The engines there are macros for."""

_SHARED = "shared.sql"
_MOST_RENDERED = 2048
_rendered: dict[tuple[str, str, str, str], str] = {}


@lru_cache(maxsize=8)
def environment(engine: str) -> jinja2.Environment:
    """Return the Jinja environment of an engine: filters, and the portable macros as globals.

    Raises
    ------
    TemplateError
        If there is no macro file for the engine.
    """
    env = ImmutableSandboxedEnvironment(
        undefined=jinja2.StrictUndefined,
        autoescape=False,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    env.filters["ident"] = lambda name: _ident(name, engine)
    env.filters["literal"] = lambda value: literal(value, engine)
    env.filters["wml"] = lambda name: _ident(Relation(name, WML), engine)
    module = compiled(env, macro_source(engine), engine).module
    env.globals.update({name: value for name, value in vars(module).items() if not name.startswith("_")})
    return env


@lru_cache(maxsize=8)
def macro_source(engine: str) -> str:
    """Return the portable macros of an engine: its own file, and what every engine writes alike.

    Raises
    ------
    TemplateError
        If there is no macro file for the engine.
    """
    folder = files("warehouse_ml.warehouses") / "macros"
    own = folder / f"{engine}.sql"
    if not own.is_file():
        raise TemplateError(f'no macros for the engine "{engine}"', has=ENGINES)
    return own.read_text(encoding="utf-8") + (folder / _SHARED).read_text(encoding="utf-8")


@lru_cache(maxsize=8)
def user_environment(engine: str) -> jinja2.Environment:
    """Return the environment of the user's templates, in which line ends stay where the file has them."""
    return environment(engine).overlay(trim_blocks=False, lstrip_blocks=False)


def statement(package: str, file: str, engine: str, **context: Any) -> str:
    """Render one of the toolkit's own .sql files, which stands beside the module that runs it.

    Parameters
    ----------
    package : str
        The package the file stands in: ``__package__`` or ``__name__`` of its caller.
    file : str
        The file's name.
    engine : str
        The engine whose macros it is rendered with.
    **context
        Names and lists that the template uses; values go in as parameters instead.
    """
    # The same names give the same text, and a year replayed week by week asks for each statement dozens of times.
    key = (package, file, engine, repr(context))
    text = _rendered.get(key)
    if text is None:
        text = _own_template(package, file, engine).render(**context).strip().removesuffix(";")
        if len(_rendered) >= _MOST_RENDERED:
            _rendered.clear()
        _rendered[key] = text
    return text


def statements(package: str, file: str, engine: str, **context: Any) -> list[str]:
    """Render a .sql file of several statements, split at the semicolons that end a line."""
    text = statement(package, file, engine, **context)
    return [part.strip() for part in text.split(";\n") if part.strip()]


def render(source: str, engine: str, names: Mapping[str, Any], *, place: str, first_line: int = 1) -> str:
    """Render a user's template.

    Parameters
    ----------
    source : str
        The template.
    engine : str
        Whose macros it may call.
    names : mapping
        What the template may use beside the macros: ``ref``, ``source``, ``var``, ``config``, ``as_of``...
    place : str
        The file, for errors.

    Raises
    ------
    TemplateError
        On a syntax error or an undefined name, with file and line.
    """
    env = environment(engine)
    try:
        return _user_template(source, engine).render(names)
    except WmlError as error:
        # A function called in the template knows what is wrong, the template knows where.
        error.place = error.place or f"{place}:{_template_line(error, first_line)}"
        raise
    except jinja2.TemplateSyntaxError as error:
        line = first_line + (error.lineno or 1) - 1
        raise TemplateError(f"template syntax: {error.message}", place=f"{place}:{line}") from None
    except jinja2.UndefinedError as error:
        known = sorted({*env.globals, *(name for name, value in names.items() if not isinstance(value, _Missing))})
        missing = _undefined_name(str(error))
        raise TemplateError(
            f"undefined name: {error}",
            place=f"{place}:{_template_line(error, first_line)}",
            has=[name for name in known if name not in jinja2.defaults.DEFAULT_NAMESPACE],
            hint=did_you_mean(missing, known) if missing else None,
        ) from None
    except jinja2.exceptions.SecurityError as error:
        raise TemplateError(f"not allowed in a template: {error}", place=place) from None
    except (TypeError, ValueError, ZeroDivisionError, jinja2.TemplateError) as error:
        raise TemplateError(
            f"the template fails: {error}", place=f"{place}:{_template_line(error, first_line)}"
        ) from None


class _Missing(jinja2.StrictUndefined):
    """A name that is known, but not here."""


def missing(name: str, why: str) -> Any:
    """Return what stands for a name that a template may not use: whatever is done with it fails, and says why."""
    return _Missing(hint=f"{name} {why}", name=name)


def macros(source: str, engine: str, names: Mapping[str, Any], *, place: str) -> dict[str, Any]:
    """Return the macros that a file of the user's defines, by name.

    Raises
    ------
    TemplateError
        As ``render``.
    """
    render(source, engine, names, place=place)
    module = _user_template(source, engine).make_module(dict(names))
    return {name: value for name, value in vars(module).items() if not name.startswith("_")}


def literal(value: Any, engine: str) -> str:
    """Return a Python value as a literal of the engine's SQL: text, number, boolean, instant or None."""
    return _literal_node(value).sql(dialect=engine)


def _literal_node(value: Any) -> exp.Expr:
    if isinstance(value, dt.datetime):
        text = value.astimezone(dt.UTC).strftime("%Y-%m-%d %H:%M:%S.%f").removesuffix(".000000") + "+00"
        return exp.cast(exp.Literal.string(text.rjust(22, "0")), exp.DataType.Type.TIMESTAMPTZ)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{value} has no literal")
        # A bare 0.1 is a decimal in DuckDB; the exponent makes it a double on every engine.
        text = repr(value)
        return exp.Literal.number(text if "e" in text else f"{text}e0")
    if isinstance(value, (list, tuple)):
        return exp.Array(expressions=[_literal_node(item) for item in value])
    node: exp.Expr = exp.convert(value)
    return node


@lru_cache(maxsize=256)
def _own_template(package: str, file: str, engine: str) -> jinja2.Template:
    source = (files(package) / file).read_text(encoding="utf-8")
    return compiled(environment(engine), source, engine)


@lru_cache(maxsize=1024)
def _user_template(source: str, engine: str) -> jinja2.Template:
    return user_environment(engine).from_string(source)


@lru_cache(maxsize=4096)
def _ident(name: str | Relation, engine: str) -> str:
    if isinstance(name, Relation):
        return exp.table_(name.name, db=name.schema, quoted=True).sql(dialect=engine)
    return exp.to_identifier(name, quoted=True).sql(dialect=engine)


def _undefined_name(message: str) -> str | None:
    return message.split("'")[1] if message.count("'") >= 2 else None


def _template_line(error: BaseException, first_line: int) -> int:
    """Find the template's line in the traceback, where Jinja puts its own frames."""
    line = 1
    traceback = error.__traceback__
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename == "<template>":
            line = traceback.tb_lineno
        traceback = traceback.tb_next
    return first_line + line - 1
