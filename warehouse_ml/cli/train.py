"""``wml train``."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from pathlib import Path

import click

from warehouse_ml.cli.options import as_of_option, format_option, project_option, target_option
from warehouse_ml.cli.output import headline, note, print_rows, status


@click.command("train", short_help="Train a model and publish it as a version.")
@click.argument("model")
@click.option("--force", is_flag=True, help="Train even if nothing has changed since a version.")
@click.option(
    "--promote",
    type=click.Choice(["better", "always", "never"]),
    default="better",
    show_default=True,
    help="When the new version becomes champion: no worse on the rows held out, whatever it is, or not by itself.",
)
@as_of_option
@target_option
@format_option
@project_option
def command(
    model: str, force: bool, promote: str, as_of: dt.datetime, target: str | None, output: str, project: Path
) -> None:
    """Train MODEL on what is known at the clock and publish it as a version.

    The relations it reads are brought up to date first. The same definition on the same rows makes no new version.
    """
    from warehouse_ml.loop import train_step
    from warehouse_ml.project import find_project
    from warehouse_ml.session import open_session

    with open_session(find_project(project), target) as session, status() as say:
        trained = train_step(session, model, as_of, force=force, promote=promote, on_step=say)
    for warning in trained.warnings:
        note(f"warning: {warning}")
    version = trained.version
    row = {
        "model": version.model,
        "version": version.version,
        "is_new": trained.is_new,
        "alias": trained.alias,
        "n_train": trained.n_train,
        "n_eval": trained.n_eval,
        **(headline(version.metrics) if output == "table" else _shown(version.metrics, is_held_out=trained.n_eval > 0)),
        "seconds": trained.seconds,
        "reason": trained.reason,
    }
    print_rows([row], output)


def _shown(metrics: Mapping[str, float | None], *, is_held_out: bool) -> dict[str, float | None]:
    return {f"held_out_{name}" if is_held_out else name: value for name, value in metrics.items()}
