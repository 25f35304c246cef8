"""``wml doctor``."""

from __future__ import annotations

import dataclasses
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import click

from warehouse_ml.cli.options import format_option, project_option, target_option
from warehouse_ml.cli.output import print_rows, status

if TYPE_CHECKING:
    from warehouse_ml.doctor import Check

_COLOURS = {"ok": "green", "failed": "red", "note": "yellow", "skipped": "bright_black"}
_WAREHOUSE_FAILED = 3
_WIDTH = 100


@click.command("doctor", short_help="Check that the project and its warehouse are ready.")
@target_option
@format_option
@project_option
def command(target: str | None, output: str, project: Path) -> int:
    """Check that the project can run on its warehouse, step by step, and say how to mend what does not hold.

    The files are read and rendered, the versions counted, and the warehouse is asked for everything that a command
    needs of it: on DuckDB the file and its lock; on BigQuery packages, credentials, jobs, datasets and where they
    are, tables, transactions and the Storage API. A scratch table is made and dropped; nothing else is touched.

    Exits with 3 if a check failed.
    """
    from warehouse_ml.doctor import examine
    from warehouse_ml.project import find_project, load_project

    settings = load_project(find_project(project))
    chosen = settings.target(target)
    found: list[Check] = []
    if output == "table":
        click.echo(f"{settings.name} on {chosen.name}\n")
    with status() as say:
        say("looking")
        for check in examine(settings, chosen):
            found.append(check)
            if output == "table":
                say.clear()
                _show(check)
                say("looking")
    n_failed = sum(check.outcome == "failed" for check in found)
    if output != "table":
        print_rows([dataclasses.asdict(check) for check in found], output)
    else:
        click.echo("\n" + ("everything is ready" if not n_failed else f"{n_failed} to mend"))
    return _WAREHOUSE_FAILED if n_failed else 0


def _show(check: Check) -> None:
    mark = click.style(f"{check.outcome:<8}", fg=_COLOURS[check.outcome], bold=check.outcome == "failed")
    indent = " " * 24
    lines = textwrap.wrap(check.found, _WIDTH - len(indent)) or [""]
    click.echo(f"  {mark}{check.name:<14}{lines[0]}")
    for line in lines[1:]:
        click.echo(indent + line)
    if check.fix:
        for index, line in enumerate(textwrap.wrap(check.fix, _WIDTH - len(indent) - 5)):
            click.echo(f"{indent}{'fix: ' if index == 0 else '     '}{line}")
