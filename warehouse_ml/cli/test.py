"""``wml test``."""

from __future__ import annotations

import dataclasses
import datetime as dt
from pathlib import Path

import click

from warehouse_ml.cli.options import as_of_option, format_option, project_option, target_option
from warehouse_ml.cli.output import print_rows


@click.command("test", short_help="Run the project's tests.")
@click.argument("names", nargs=-1)
@as_of_option
@target_option
@format_option
@project_option
def command(names: tuple[str, ...], as_of: dt.datetime, target: str | None, output: str, project: Path) -> int:
    """Run the project's tests: SQL in sql/tests/ that returns the rows that are wrong.

    Exits with 1 if a test returned rows.
    """
    from warehouse_ml.loop.steps import test_step
    from warehouse_ml.project import find_project
    from warehouse_ml.session import open_session

    with open_session(find_project(project), target) as session:
        results = test_step(session, names, as_of)
    rows = [{**dataclasses.asdict(row), "passed": row.n_rows == 0} for row in results]
    print_rows(rows, output, ["name", "place", "passed", "n_rows"])
    return int(any(row.n_rows for row in results))
