"""Rows to stdout, as a table, JSON or CSV; everything else to stderr."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import math
import shutil
import sys
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import click

__all__ = ["format_table", "headline", "note", "plain", "print_rows", "status"]

_MIN_COLUMN = 8
_HEADLINES = (
    "davies_bouldin_index",
    "mean_squared_distance",
    "total_explained_variance_ratio",
    "roc_auc",
    "recall",
    "precision",
    "calibration_ratio",
    "log_loss",
    "f1_macro",
    "accuracy",
    "mean_absolute_error",
    "root_mean_squared_error",
    "r2_score",
)


def print_rows(rows: Sequence[Mapping[str, Any]], output: str, columns: Sequence[str] | None = None) -> None:
    """Print rows on stdout.

    Parameters
    ----------
    rows : sequence of mappings
    output : str
        table, json or csv.
    columns : sequence of str, optional
        Their order; that of the first row by default. With no rows, what a table's head and a CSV's first line say.
    """
    names = list(columns) if columns is not None else list(rows[0]) if rows else []
    if output == "json":
        click.echo(json.dumps([{name: _plain(row[name]) for name in names} for row in rows], indent=2))
    elif output == "csv":
        sink = io.StringIO()
        writer = csv.writer(sink, lineterminator="\n")
        writer.writerow(names)
        writer.writerows([_csv(row[name]) for name in names] for row in rows)
        click.echo(sink.getvalue(), nl=False)
    else:
        width = shutil.get_terminal_size((120, 40)).columns if sys.stdout.isatty() else None
        click.echo(format_table(rows, names, width=width))


def format_table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], *, width: int | None = None) -> str:
    """Return rows as an aligned table: numbers to the right, text to the left, nulls blank.

    Parameters
    ----------
    rows : sequence of mappings
    columns : sequence of str
    width : int, optional
        Long text is cut so that lines stay this short, where that is possible.
    """
    if not columns:
        return "(no rows)"
    cells = [[_cell(row[name]) for name in columns] for row in rows]
    is_number = [
        any(row[name] is not None for row in rows)
        and all(
            isinstance(row[name], (int, float, Decimal, type(None))) and not isinstance(row[name], bool) for row in rows
        )
        for name in columns
    ]
    widths = [max([len(name), *(len(line[index]) for line in cells)]) for index, name in enumerate(columns)]
    if width is not None:
        _narrow(widths, is_number, width)

    def line(values: Sequence[str]) -> str:
        parts = []
        for value, size, right in zip(values, widths, is_number, strict=True):
            shown = value if len(value) <= size else value[: size - 1] + "…"
            parts.append(shown.rjust(size) if right else shown.ljust(size))
        return "  ".join(parts).rstrip()

    rule = "  ".join("-" * size for size in widths)
    return "\n".join([line(list(columns)), rule, *(line(values) for values in cells)])


def headline(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Return the few metrics that a line has room for; all of them are in ``wml.metrics``, and in JSON and CSV."""
    found = {name: metrics[name] for name in _HEADLINES if metrics.get(name) is not None}
    if "roc_auc" in found:
        # The share of right answers says little where one class is rare.
        found.pop("accuracy", None)
    return found


def note(text: str) -> None:
    """Say something on stderr."""
    click.echo(text, err=True)


class status:  # noqa: N801 - used as a context manager, `with status() as say`
    """A line on stderr that says what is being done, if a person is watching; it is gone at the end."""

    def __init__(self) -> None:
        self._is_watched = sys.stderr.isatty()

    def __enter__(self) -> status:
        return self

    def __call__(self, text: str) -> None:
        """Say what is being done now."""
        if self._is_watched:
            width = shutil.get_terminal_size((80, 24)).columns - 1
            sys.stderr.write("\r\x1b[2K" + f"{text} ..."[:width])
            sys.stderr.flush()

    def clear(self) -> None:
        """Take the line away, so that others can be written."""
        if self._is_watched:
            sys.stderr.write("\r\x1b[2K")
            sys.stderr.flush()

    def __exit__(self, *_: object) -> None:
        self.clear()


def _narrow(widths: list[int], is_number: Sequence[bool], width: int) -> None:
    text = [index for index, number in enumerate(is_number) if not number]
    while text and sum(widths) + 2 * (len(widths) - 1) > width:
        widest = max(text, key=lambda index: widths[index])
        if widths[widest] <= _MIN_COLUMN:
            return
        widths[widest] -= 1


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, (float, Decimal)):
        return _number(float(value))
    if isinstance(value, dt.datetime):
        utc = value.astimezone(dt.UTC) if value.tzinfo else value
        return utc.strftime("%Y-%m-%d" if utc.time() == dt.time() else "%Y-%m-%d %H:%M:%S")
    if isinstance(value, (list, dict)):
        return json.dumps(_plain(value))
    return " ".join(str(value).split())


def _number(value: float) -> str:
    if not math.isfinite(value):
        return str(value)
    if value == int(value) and abs(value) < 1e15:
        return f"{value:.1f}"
    return f"{value:.4f}" if 1e-3 <= abs(value) < 1e9 else f"{value:.4g}"


def plain(value: Any) -> Any:
    """Return a value as JSON can hold it: instants in UTC as text, what is not finite as null."""
    return _plain(value)


def _plain(value: Any) -> Any:
    if isinstance(value, dt.datetime):
        return (value.astimezone(dt.UTC) if value.tzinfo else value).isoformat()
    if isinstance(value, (dt.date, dt.time, dt.timedelta)):
        return str(value)
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, bytes):
        return value.hex()
    return value


def _csv(value: Any) -> Any:
    plain = _plain(value)
    if plain is None:
        return ""
    if isinstance(plain, bool):
        return "true" if plain else "false"
    return json.dumps(plain) if isinstance(plain, (list, dict)) else plain
