"""``wml init``."""

from __future__ import annotations

from pathlib import Path

import click

from warehouse_ml.cli.output import note


@click.command("init", short_help="Start a small project.")
@click.argument("name", type=click.Path(path_type=Path))
def command(name: Path) -> None:
    """Start a small project in the new folder NAME.

    One request file, one label file, one model and one evaluation over real flights: it builds, trains and
    evaluates at once, and is meant to be changed into your own.
    """
    from warehouse_ml.example import write_starter

    for path in write_starter(name):
        click.echo(path.as_posix())
    note(
        "\nnext:\n"
        f"  cd {name}\n"
        "  wml train late --as-of 2013-04-01       train on the first quarter\n"
        "  wml evaluate --as-of 2013-06-03         score and evaluate the weeks after it\n"
        '  wml query "select slice_value, value from wml.latest_metrics\n'
        "             where metric = 'roc_auc' and slice_key = 'carrier' order by value limit 5\""
    )
