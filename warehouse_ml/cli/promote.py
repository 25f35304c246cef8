"""``wml promote``."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import click

from warehouse_ml.cli.decided import print_decision
from warehouse_ml.cli.options import as_of_option, format_option, project_option, target_option
from warehouse_ml.cli.output import note, status


@click.command("promote", short_help="Let a version serve, or give it another alias.")
@click.argument("version", metavar="MODEL@VERSION")
@click.option(
    "--alias",
    default="champion",
    show_default=True,
    help="champion serves, canary serves a share, challenger shadows, safe is there to fall back to; "
    "any other name is your own.",
)
@click.option("--reason", help="Why; it is written into the ledger. Needed, but for a dry run.")
@click.option("--share", type=float, help="Of the requests, between 0 and 1: what a canary answers.")
@click.option(
    "--none", "is_removed", is_flag=True, help="Take the alias away from whoever has it; the model alone is named then."
)
@click.option("--force", is_flag=True, help="Promote although a rule refuses; that is written into the reason.")
@click.option("--dry-run", "is_dry", is_flag=True, help="Say what would be decided, and leave everything as it was.")
@click.option(
    "--windows",
    type=click.IntRange(min=1),
    default=4,
    show_default=True,
    help="Over how many of the last mature windows a new champion is compared with the present one.",
)
@as_of_option
@target_option
@format_option
@project_option
def command(
    version: str,
    alias: str,
    reason: str | None,
    share: float | None,
    is_removed: bool,
    force: bool,
    is_dry: bool,
    windows: int,
    as_of: dt.datetime,
    target: str | None,
    output: str,
    project: Path,
) -> int:
    """Let a version serve from the clock on, or give it another alias: late@3, late@challenger.

    To become champion, the version first answers the requests that the champion answered in the last mature windows
    that it was not trained on, logged as a candidate's. Both are evaluated and compared over the same requests, see
    wml.latest_comparisons. Then the rules with on='promote' are asked: a row of theirs refuses the promotion, with
    exit code 1. The former champion becomes challenger.
    """
    from warehouse_ml.decisions import check_alias, known_model, version_named
    from warehouse_ml.errors import WmlError
    from warehouse_ml.loop.deciding import promote_step, remove_step
    from warehouse_ml.project import find_project
    from warehouse_ml.session import open_session

    check_alias(alias)
    if not is_dry and not (reason or "").strip():
        raise WmlError("a decision needs a reason; whoever reads the ledger later will ask", hint='--reason "..."')
    told = (reason or "").strip()
    with open_session(find_project(project), target) as session, status() as say:
        if is_removed:
            if share is not None:
                raise WmlError("--none and --share do not go together", hint="leave one of them out")
            model = known_model(session.registry, version)
            decision = remove_step(session, model, as_of, told, alias=alias, is_dry=is_dry)
        else:
            decision = promote_step(
                session,
                version_named(session.registry, version),
                as_of,
                told,
                alias=alias,
                share=share,
                force=force,
                is_dry=is_dry,
                n_windows=windows,
                on_step=say,
            )
    evidence = decision.evidence
    if evidence is not None and evidence.n_windows:
        windows_told = "1 window" if evidence.n_windows == 1 else f"{evidence.n_windows} windows"
        note(f"compared over {windows_told}, {evidence.n_requests:,} requests answered for it: wml.latest_comparisons")
    elif evidence is not None and evidence.n_apart:
        note(
            "not compared on the same requests: the two shared them out between canary and champion, "
            "and wml.ab_results has the result"
        )
    elif evidence is not None and evidence.unseen_since is not None:
        note(
            "not compared: the champion has no mature window since "
            f"{evidence.unseen_since:%Y-%m-%d %H:%M}, and earlier ones the version may have been trained on"
        )
    return print_decision(decision, output, is_dry=is_dry)
