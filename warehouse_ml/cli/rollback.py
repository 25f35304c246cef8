"""``wml rollback``."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import click

from warehouse_ml.cli.decided import print_decision
from warehouse_ml.cli.options import as_of_option, format_option, project_option, target_option


@click.command("rollback", short_help="Let the version serve again that did before.")
@click.argument("model")
@click.option("--to", type=click.IntRange(min=1), help="The version to go back to; it must have served before.")
@click.option("--reason", help="Why; it is added to what the ledger is told by itself.")
@click.option("--dry-run", "is_dry", is_flag=True, help="Say what would be decided, and write nothing.")
@as_of_option
@target_option
@format_option
@project_option
def command(
    model: str,
    to: int | None,
    reason: str | None,
    is_dry: bool,
    as_of: dt.datetime,
    target: str | None,
    output: str,
    project: Path,
) -> int:
    """Let the version of MODEL serve again that was champion before the present one, from the clock on.

    The newest promotion that still stands is taken back. Rolling back again goes one further back, and not forth. No
    rule is asked and nothing is scored, so it is done at once. What served until now becomes challenger.
    """
    from warehouse_ml.decisions import known_model
    from warehouse_ml.loop.deciding import rollback_step
    from warehouse_ml.project import find_project
    from warehouse_ml.session import open_session

    with open_session(find_project(project), target) as session:
        name = known_model(session.registry, model)
        decision = rollback_step(session, name, as_of, reason, to=to, is_dry=is_dry)
    return print_decision(decision, output, is_dry=is_dry)
