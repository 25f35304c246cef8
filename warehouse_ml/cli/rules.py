"""``wml rules``."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from warehouse_ml.cli.options import as_of_option, format_option, project_option, target_option
from warehouse_ml.cli.output import print_rows, status
from warehouse_ml.errors import ProjectError, did_you_mean

if TYPE_CHECKING:
    from warehouse_ml.rules import Asked

_COLUMNS = ["rule", "on", "model", "n_rows"]


@click.command("rules", short_help="List the rules, and what each says at the clock.")
@click.argument("names", nargs=-1)
@as_of_option
@target_option
@format_option
@project_option
def command(names: tuple[str, ...], as_of: dt.datetime, target: str | None, output: str, project: Path) -> int:
    """List the rules, or those NAMES, and what each says at the clock.

    What they read is brought up to date; nothing is recorded and nothing is done about it. A table shows the first row
    that a rule returns, JSON all of them. Exits with 1 if a rule fires, and with the error's code if one fails.
    """
    from warehouse_ml.cli.retrain import tell_failures
    from warehouse_ml.loop.retrain import ask_step
    from warehouse_ml.project import find_project
    from warehouse_ml.rules import EVENTS, Failure
    from warehouse_ml.session import open_session

    with open_session(find_project(project), target) as session, status() as say:
        known = [node.name for node in session.catalog.of_kind("rule")]
        for name in names:
            if name not in known:
                raise ProjectError(f'no rule "{name}" in sql/rules/', has=known, hint=did_you_mean(name, known))
        asked = ask_step(session, as_of, events=EVENTS, on_step=say)
    shown = sorted((rule for rule in asked if not names or rule.rule in names), key=lambda rule: rule.rule)
    rows = []
    for rule in shown:
        row: dict[str, Any] = {
            "rule": rule.rule,
            "on": rule.event,
            "model": rule.model,
            "is_enabled": rule.is_enabled,
            "n_rows": len(rule.firings) if _is_asked(rule) else None,
        }
        if output == "json":
            row["rows"] = [dict(firing.row) for firing in rule.firings]
        else:
            row["says"] = _says(rule)
        rows.append(row)
    print_rows(rows, output, [*_COLUMNS, "is_enabled", "rows"] if output == "json" else [*_COLUMNS, "says"])
    failures = [Failure(f"the rule {rule.rule}", rule.error) for rule in shown if rule.error is not None]
    if failures:
        return tell_failures(failures, "the others were asked")
    return int(any(rule.firings for rule in shown))


def _is_asked(rule: Asked) -> bool:
    return rule.is_enabled and rule.error is None and rule.event != "promote"


def _says(rule: Asked) -> str | None:
    if rule.error is not None:
        return "fails"
    if not rule.is_enabled:
        return "switched off"
    if not _is_asked(rule):
        return "asked before a version takes over"
    return str(rule.firings[0]) if rule.firings else None
