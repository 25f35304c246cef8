"""What every command understands the same way."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from warehouse_ml.errors import WmlError

__all__ = ["AS_OF", "as_of_option", "format_option", "project_option", "target_option"]

_Command = TypeVar("_Command", bound=Callable[..., Any])


class _Instant(click.ParamType[dt.datetime]):
    """``2013-04-01``, ``2013-04-01 06:30``, ``2013-04-01T06:30:00+02:00`` or ``now``; UTC unless it says otherwise."""

    name = "instant"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dt.datetime:
        if isinstance(value, dt.datetime):
            return value
        if value == "now":
            return dt.datetime.now(dt.UTC)
        try:
            instant = dt.datetime.fromisoformat(value)
        except ValueError:
            option = param.opts[0] if param is not None else "the instant"
            raise WmlError(
                f'{option}: "{value}" is not a date or an instant',
                hint="write 2013-04-01 or 2013-04-01T06:30:00 (UTC unless an offset is given), or now",
            ) from None
        return instant.astimezone(dt.UTC) if instant.tzinfo else instant.replace(tzinfo=dt.UTC)


AS_OF = _Instant()


def as_of_option(command: _Command) -> _Command:
    """``--as-of``: the clock."""
    return click.option(
        "--as-of", type=AS_OF, default="now", show_default=True, help="The clock: nothing known later is seen."
    )(command)


def target_option(command: _Command) -> _Command:
    """``--target``: which warehouse of wml.toml."""
    return click.option("--target", help="The warehouse to run on, as wml.toml names it.")(command)


def project_option(command: _Command) -> _Command:
    """``--project``: where the project is."""
    return click.option(
        "--project",
        type=click.Path(path_type=Path),
        default=".",
        help="The project's folder, or one below it; this folder by default.",
    )(command)


def format_option(command: _Command) -> _Command:
    """``--format``: how rows are printed."""
    return click.option(
        "--format",
        "output",
        type=click.Choice(["table", "json", "csv"]),
        default="table",
        show_default=True,
        help="How rows are printed.",
    )(command)
