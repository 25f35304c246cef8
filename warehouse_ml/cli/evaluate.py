"""``wml evaluate``."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from warehouse_ml.cli.cost import max_bytes_option, tell_cost
from warehouse_ml.cli.options import as_of_option, format_option, project_option, target_option
from warehouse_ml.cli.output import format_table, headline, note, print_rows, status

if TYPE_CHECKING:
    from warehouse_ml.evaluation import EvaluatedWindow

_SHOWN_WINDOWS = 12
_WORST_SLICES = 5


@click.command("evaluate", short_help="Bring everything up to date and evaluate each window that is due.")
@click.argument("names", nargs=-1)
@click.option("--restate", is_flag=True, help="Evaluate every window again, those that are closed too.")
@click.option("--search", is_flag=True, help="Search them for the slices that do worse than the rest.")
@as_of_option
@target_option
@max_bytes_option
@format_option
@project_option
def command(
    names: tuple[str, ...],
    restate: bool,
    search: bool,
    as_of: dt.datetime,
    target: str | None,
    max_bytes: int | None,
    output: str,
    project: Path,
) -> None:
    """Evaluate each window that is due, for the evaluations NAMES (all by default).

    The weekly command: it builds what the evaluations read, scores the requests that are due, joins them with the
    answers known at the clock, and writes metrics, fairness, calibration, drift and comparisons of versions. A window
    is due when it has ended and was never evaluated, or when its requests, answers or definition changed before it
    was evaluated as mature, or an answer became known after; --restate looks at every window again. Running it again
    changes nothing. A warning says of a window that is not mature what its answers so far would mislead about.

    --search writes wml.worst_slices: the values, and pairs of values, of the slice columns (or of those that the file
    names: search=[...]) for which the loss is higher than over all other rows.
    """
    from warehouse_ml.evaluation import found_slices, worst_slices
    from warehouse_ml.loop.steps import evaluate_step
    from warehouse_ml.project import find_project
    from warehouse_ml.session import open_session

    with open_session(find_project(project), target, max_bytes=max_bytes) as session:
        with status() as say:
            notes: list[str] = []
            windows = evaluate_step(
                session, names, as_of, restate=restate, search=search, on_step=say, on_note=notes.append
            )
        newest = _newest(windows)
        worst = worst_slices(session.warehouse, [window.evaluation_id for window in newest], limit=_WORST_SLICES)
        searched = [window.evaluation_id for window in newest] if search else []
        found = found_slices(session.warehouse, searched, limit=_WORST_SLICES)
    tell_cost(session.warehouse)
    for text in notes:
        note(text)
    rows = [window_row(window, is_short=output == "table") for window in windows]
    if output != "table":
        _print_windows(rows, output)
        return
    if not rows:
        note("nothing is due: every window that has ended is evaluated")
        return
    shown = rows[-_SHOWN_WINDOWS:]
    _print_windows(shown, output)
    if len(rows) > len(shown):
        note(f"({len(rows) - len(shown)} earlier windows were evaluated too; see wml.evaluations)")
    for window in windows:
        if window.warning:
            note(f"warning: {_named(window)}: {window.warning}")
    told = {window.evaluation_id: window for window in newest}
    if worst:
        click.echo("\nworst slices of the newest window in which something was answered for:\n")
        lines = [_worst_row(row, told[row["evaluation_id"]]) for row in worst]
        click.echo(format_table(lines, list(lines[0])))
    if found:
        click.echo("\nfound by the search of that window, against all other rows:\n")
        click.echo(format_table(found, [name for name in found[0] if name != "evaluation_id"]))
    elif search:
        note("the search of the newest window found no slice that does worse than the rest")


def window_row(window: EvaluatedWindow, *, is_short: bool) -> dict[str, Any]:
    """Return a window as a row to print, with the few metrics that a line has room for, or all of them."""
    shown = headline(window.metrics) if is_short else window.metrics
    return {
        **shown,
        "evaluation": window.evaluation,
        "version": window.version,
        "window_start": window.window_start,
        "n_requests": window.n_requests,
        "n_labelled": window.n_labelled,
        "is_mature": window.is_mature,
    }


def window_columns(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Return the columns of windows, those that hold nothing at all left out."""
    first = ["evaluation", "version", "window_start", "n_requests", "n_labelled", "is_mature"]
    rest = dict.fromkeys(name for row in rows for name in row if name not in first)
    names = [*first, *(name for name in rest if any(row.get(name) is not None for row in rows))]
    # Evaluations of several tasks have metrics of their own each.
    for row in rows:
        row.update({name: None for name in names if name not in row})
    return names


def _print_windows(rows: Sequence[dict[str, Any]], output: str) -> None:
    # A metric that one window has may be missing in another, as where a version called nobody positive.
    columns = window_columns(rows)
    print_rows([{name: row.get(name) for name in columns} for row in rows], output, columns)


def _named(window: EvaluatedWindow) -> str:
    version = "" if window.version is None else f" version {window.version}"
    start = "" if window.window_start is None else f" {window.window_start:%Y-%m-%d}"
    return f"{window.evaluation}{version}{start}"


def _newest(windows: Sequence[EvaluatedWindow]) -> list[EvaluatedWindow]:
    """Return the windows that start last among those with answers, one for each evaluation and version."""
    found: dict[tuple[str, int | None], EvaluatedWindow] = {}
    for window in windows:
        if window.n_labelled:
            key = (window.evaluation, window.version)
            kept = found.get(key)
            if (
                kept is None
                or kept.window_start is None
                or (window.window_start or kept.window_start) >= kept.window_start
            ):
                found[key] = window
    return list(found.values())


def _worst_row(row: dict[str, Any], window: EvaluatedWindow) -> dict[str, Any]:
    return {
        "version": window.version,
        "window_start": window.window_start,
        **{name: row[name] for name in ("slice_key", "slice_value", "metric", "value", "ci_lower", "ci_upper", "n")},
        "overall": row["overall_value"],
    }
