"""``wml predict``."""

from __future__ import annotations

import dataclasses
import datetime as dt
from pathlib import Path

import click

from warehouse_ml.cli.cost import max_bytes_option, tell_cost
from warehouse_ml.cli.options import as_of_option, format_option, project_option, target_option
from warehouse_ml.cli.output import note, print_rows, status


@click.command("predict", short_help="Score the requests that are due and log them.")
@click.argument("models", nargs=-1)
@as_of_option
@target_option
@max_bytes_option
@format_option
@project_option
def command(
    models: tuple[str, ...], as_of: dt.datetime, target: str | None, max_bytes: int | None, output: str, project: Path
) -> None:
    """Score the requests of MODELS (all by default) that were made before the clock, and log them.

    Each request is answered by the version that was champion when it was made, and by the challenger in the shadow.
    Requests that were answered before are left alone.
    """
    from warehouse_ml.loop.steps import predict_step
    from warehouse_ml.project import find_project
    from warehouse_ml.session import open_session

    with open_session(find_project(project), target, max_bytes=max_bytes) as session, status() as say:
        done = predict_step(session, models, as_of, on_step=say)
    tell_cost(session.warehouse)
    print_rows(
        [dataclasses.asdict(row) for row in done],
        output,
        ["model", "version", "alias", "since", "until", "n_requests"],
    )
    if not done:
        note(
            "no request is due: no version served before the clock. To replay history, train on an earlier day first, "
            "for example: wml train MODEL --as-of 2013-04-01"
        )
