"""``wml build``."""

from __future__ import annotations

import dataclasses
import datetime as dt
from pathlib import Path

import click

from warehouse_ml.cli.cost import max_bytes_option, tell_cost, tell_misplaced
from warehouse_ml.cli.options import as_of_option, format_option, project_option, target_option
from warehouse_ml.cli.output import print_rows, status


@click.command("build", short_help="Build features and requests up to the clock.")
@click.argument("select", nargs=-1)
@click.option("--fresh", is_flag=True, help="Build everything from scratch.")
@as_of_option
@target_option
@max_bytes_option
@format_option
@project_option
def command(
    select: tuple[str, ...],
    fresh: bool,
    as_of: dt.datetime,
    target: str | None,
    max_bytes: int | None,
    output: str,
    project: Path,
) -> None:
    """Build features and requests up to the clock.

    SELECT names what to build: name, +name (with all it needs), name+ (with all that needs it). Everything by
    default. What is up to date is left alone.
    """
    from warehouse_ml.loop.steps import build_step
    from warehouse_ml.project import find_project
    from warehouse_ml.session import open_session

    with open_session(find_project(project), target, max_bytes=max_bytes) as session:
        with status() as say:
            built = build_step(session, as_of, select, fresh=fresh, on_step=lambda name: say(f"building {name}"))
        tell_misplaced(session)
    tell_cost(session.warehouse)
    print_rows(
        [dataclasses.asdict(row) for row in built], output, ["relation", "materialized", "action", "n_rows", "seconds"]
    )
