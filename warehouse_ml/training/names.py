"""What BigQuery lets a column be called, said before anything runs there."""

from __future__ import annotations

from collections.abc import Iterable

from warehouse_ml.errors import DefinitionError

__all__ = ["check_names"]

_FORBIDDEN = frozenset('!"$()*,./;?@[\\]^`{}~')
_PREFIXES = ("_table_", "_file_", "_partition", "_row_timestamp", "__root__", "_colidentifier", "_change_")
_LONGEST = 300


def check_names(names: Iterable[str], place: str) -> None:
    """Refuse a name that no column of BigQuery's can have.

    Parameters
    ----------
    names : iterable of str
        What a query's columns are called.
    place : str
        The query, for errors.

    Raises
    ------
    DefinitionError
        Naming the first such column, and what is wrong with it.
    """
    seen: set[str] = set()
    for name in names:
        reason = _refusal(name, seen)
        if reason is not None:
            raise DefinitionError(
                f'a column called "{name}" cannot be kept by BigQuery: {reason}',
                place=place,
                hint="name it in the query: select ... as name",
            )
        seen.add(name.casefold())


def _refusal(name: str, seen: set[str]) -> str | None:
    if not name:
        return "it has no name"
    bad = next((sign for sign in name if sign in _FORBIDDEN or not sign.isprintable()), None)
    if bad is not None:
        return f"{bad!r} is not allowed in a name"
    if len(name) > _LONGEST:
        return f"it has {len(name)} characters, more than {_LONGEST}"
    prefix = next((prefix for prefix in _PREFIXES if name.lower().startswith(prefix)), None)
    if prefix is not None:
        return f"names that begin with {prefix} are BigQuery's own"
    return "another has the same name" if name.casefold() in seen else None
