"""``wml copy``."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import click

from warehouse_ml.cli.cost import tell_cost
from warehouse_ml.cli.options import format_option, project_option
from warehouse_ml.cli.output import note, print_rows, status
from warehouse_ml.errors import ProjectError


@click.command("copy", short_help="Copy a project's history from one warehouse to another.")
@click.option("--from", "source", required=True, help="The target of wml.toml to copy from; it is only read.")
@click.option("--to", "target", required=True, help="The target of wml.toml to copy to.")
@click.option("--replace", is_flag=True, help="Take away rows that only the target has.")
@click.option("--dry-run", "is_dry", is_flag=True, help="Say what would be written, and write nothing.")
@format_option
@project_option
def command(source: str, target: str, replace: bool, is_dry: bool, output: str, project: Path) -> None:
    """Copy what the toolkit wrote down, request logs and metrics above all, from one warehouse to another.

    For example, when one machine is not enough any longer: wml copy --from duckdb --to bigquery

    Rows that are there already are left alone: a second copy writes what came since. All tables are written together
    or none, after each was read again and compared row for row, doubles to the bit. Versions are files that both
    warehouses show; features and requests are built anew: wml build --target bigquery.
    """
    from warehouse_ml.copying import copy_history
    from warehouse_ml.project import find_project, load_project
    from warehouse_ml.registry import Registry
    from warehouse_ml.session import open_warehouse

    settings = load_project(find_project(project))
    first, second = settings.target(source), settings.target(target)
    if first.name == second.name:
        raise ProjectError(f'--from and --to are both "{first.name}"', has=sorted(settings.targets))
    reading = open_warehouse(settings, first, read_only=True)
    try:
        writing = open_warehouse(settings, second)
        try:
            with status() as say:
                done = copy_history(
                    reading, writing, Registry.of(settings), replace=replace, is_dry=is_dry, on_step=say
                )
        finally:
            writing.close()
    finally:
        reading.close()
    shown = [row for row in done if row.n_rows or row.n_new] if output == "table" else done
    print_rows([dataclasses.asdict(row) for row in shown], output, ["table", "action", "n_rows", "n_new", "digest"])
    for warehouse in (reading, writing):
        tell_cost(warehouse)
    if is_dry:
        note("nothing was written: it was a dry run")
