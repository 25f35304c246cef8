"""Every error the toolkit raises on purpose, and the exit code it ends the command with.

::

    WmlError                    2  what a person can put right
    ├── ProjectError               wml.toml, the files of the project, the selection
    ├── TemplateError              Jinja: syntax, an undefined name
    ├── GraphError                 an unknown ref, a cycle
    ├── DefinitionError            CREATE MODEL: syntax, options
    ├── DataError                  rows that cannot be trained on, logged or evaluated
    ├── VersionNotFoundError       a model, version or alias that is not there
    ├── SqlError                   a statement that the warehouse does not understand; carries its SQL
    └── StorageError            3  what the user's files cannot put right
        ├── WarehouseError         the warehouse refused or failed; carries its SQL
        │   └── TooManyBytesError  1  a limit of the user's own refused a job before it ran
        └── ArtifactError          a stored version is missing a part or was changed

A message has four parts, each on its own line when there is something to say: the place and what is wrong, what
exists instead, and how to mend it.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Sequence

__all__ = [
    "ArtifactError",
    "DataError",
    "DefinitionError",
    "GraphError",
    "Place",
    "ProjectError",
    "SqlError",
    "StorageError",
    "TemplateError",
    "TooManyBytesError",
    "VersionNotFoundError",
    "WarehouseError",
    "WmlError",
    "did_you_mean",
]

_SHOWN_NAMES = 20

Place = str | Callable[[], str] | None
"""A place, or what finds it when there is an error to be shown."""


class WmlError(Exception):
    """Base of all errors raised on purpose.

    Parameters
    ----------
    what : str
        What is wrong, in one sentence, with the offending name or value.
    place : str or callable, optional
        Where: ``file:line:column``, a relation, or a version; a callable is asked once, now.
    has : iterable of str, optional
        What exists instead; sorted as given, shown up to twenty names.
    hint : str, optional
        How to mend it.
    """

    exit_code = 2

    def __init__(
        self,
        what: str,
        *,
        place: Place = None,
        has: Iterable[str] | None = None,
        hint: str | None = None,
    ) -> None:
        self.what = what
        self.place: str | None = place() if callable(place) else place
        self.has = list(has) if has is not None else None
        self.hint = hint
        super().__init__(what)

    def __str__(self) -> str:
        lines = [f"{self.place}: {self.what}" if self.place else self.what]
        if self.has is not None:
            lines.append(f"  has:  {_shorten(self.has) or '(nothing)'}")
        if self.hint:
            lines.append(f"  hint: {self.hint}")
        return "\n".join(lines)


class ProjectError(WmlError):
    """The project's settings, files or a selection of them are wrong."""


class TemplateError(WmlError):
    """A template does not render."""


class GraphError(WmlError):
    """Relations and models do not form an order."""


class DefinitionError(WmlError):
    """A CREATE MODEL statement cannot be understood or honoured."""


class DataError(WmlError):
    """The rows themselves forbid the step."""


class VersionNotFoundError(WmlError):
    """No such model, version or alias."""


class SqlError(WmlError):
    """The warehouse does not understand a statement, or a value in it.

    Parameters
    ----------
    sql : str, optional
        The statement, as it was sent.
    line : int, optional
        The line of ``sql`` at fault, counted from 1.
    position : int, optional
        The character of ``sql`` at fault, counted from 0.
    """

    def __init__(
        self,
        what: str,
        *,
        sql: str | None = None,
        line: int | None = None,
        position: int | None = None,
        place: str | None = None,
        has: Iterable[str] | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(what, place=place, has=has, hint=hint)
        self.sql = sql
        self.line = line
        self.position = position

    def placed(self, place: str) -> SqlError:
        """Return the same error at a place in the user's own file."""
        return SqlError(
            self.what,
            sql=self.sql,
            line=self.line,
            position=self.position,
            place=place,
            has=self.has,
            hint=self.hint,
        )


class StorageError(WmlError):
    """Something below the user's files failed."""

    exit_code = 3


class WarehouseError(StorageError):
    """The warehouse refused a statement or cannot be reached.

    Parameters
    ----------
    sql : str, optional
        The statement that failed, as it was sent.
    is_retryable : bool
        Whether the same step may well succeed when it is run again.
    """

    def __init__(
        self,
        what: str,
        *,
        sql: str | None = None,
        place: str | None = None,
        has: Iterable[str] | None = None,
        hint: str | None = None,
        is_retryable: bool = False,
    ) -> None:
        super().__init__(what, place=place, has=has, hint=hint)
        self.sql = sql
        self.is_retryable = is_retryable


class TooManyBytesError(WarehouseError):
    """A job would have read more than its user allows; it was not run."""

    exit_code = 1


class ArtifactError(StorageError):
    """A stored version is incomplete or is not what was written."""


class RowsNotKeptError(ArtifactError):
    """A version keeps the query of its training rows but not the rows, and they cannot be read again now."""


def did_you_mean(name: str, known: Sequence[str]) -> str | None:
    """Return a hint naming the closest known name, or None when nothing is close."""
    folded = {candidate.lower(): candidate for candidate in known}
    close = difflib.get_close_matches(name.lower(), folded, n=1, cutoff=0.6)
    return f'did you mean "{folded[close[0]]}"?' if close else None


def _shorten(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_SHOWN_NAMES])
    rest = len(names) - _SHOWN_NAMES
    return f"{shown}, and {rest} more" if rest > 0 else shown
