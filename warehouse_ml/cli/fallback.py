"""``wml fallback``."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import click

from warehouse_ml.cli.decided import print_decision
from warehouse_ml.cli.options import as_of_option, format_option, project_option, target_option


@click.command("fallback", short_help="Let the safe version serve, now.")
@click.argument("model")
@click.option("--reason", help="Why; it is added to what the ledger is told by itself.")
@click.option("--dry-run", "is_dry", is_flag=True, help="Say what would be decided, and write nothing.")
@as_of_option
@target_option
@format_option
@project_option
def command(
    model: str,
    reason: str | None,
    is_dry: bool,
    as_of: dt.datetime,
    target: str | None,
    output: str,
    project: Path,
) -> int:
    """Let the version of MODEL that is called safe serve every request from the clock on; a canary ends.

    No rule is asked and nothing is scored, so it is done at once. What served until now becomes challenger. Rules with
    on='fallback' do the same in the weekly job.
    """
    from warehouse_ml.decisions import known_model
    from warehouse_ml.loop.deciding import fallback_step
    from warehouse_ml.project import find_project
    from warehouse_ml.session import open_session

    with open_session(find_project(project), target) as session:
        decision = fallback_step(session, known_model(session.registry, model), as_of, reason, is_dry=is_dry)
    return print_decision(decision, output, is_dry=is_dry)
