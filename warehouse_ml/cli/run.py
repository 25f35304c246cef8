"""``wml run``."""

from __future__ import annotations

import datetime as dt
import gc
from pathlib import Path

import click

from warehouse_ml.cli.cost import max_bytes_option, tell_cost, tell_misplaced
from warehouse_ml.cli.options import AS_OF, as_of_option, format_option, project_option, target_option
from warehouse_ml.cli.output import note, print_rows, status
from warehouse_ml.cli.retrain import tell_failures
from warehouse_ml.cli.story import tell_week

_COLLECT_EVERY = 13


@click.command("run", short_help="The weekly job.")
@click.option("--since", type=AS_OF, help="Replay: run the job on this day and every week after it, up to the clock.")
@as_of_option
@target_option
@max_bytes_option
@format_option
@project_option
def command(
    since: dt.datetime | None, as_of: dt.datetime, target: str | None, max_bytes: int | None, output: str, project: Path
) -> int:
    """Do the weekly job: build, predict, evaluate, ask the rules, retrain what they name.

    A model without a version is trained first. With --since a year is replayed week by week, each run seeing only
    what was known then; a week in which a rule or a training failed is the last one.

    Exits with 1 if a rule for an alert fired, and with the error's code if a rule or a training failed; all else is
    done all the same.
    """
    from warehouse_ml.loop.job import run_job
    from warehouse_ml.project import find_project
    from warehouse_ml.session import open_session

    clocks = weekly(since, as_of) if since else [as_of]
    rows = []
    n_alerts = failed = 0
    with open_session(find_project(project), target, max_bytes=max_bytes) as session:
        for index, clock in enumerate(clocks):
            if index % _COLLECT_EVERY == 0:
                gc.collect()
            with status() as say:
                result = run_job(session, clock, on_step=say)
            failed = tell_failures(result.failures)
            if len(clocks) > 1 or output == "table":
                tell_week(result, index + 1, len(clocks))
            n_alerts += sum(firing.event in ("alert", "fallback") for firing in result.firings)
            rows.append(
                {
                    "as_of": clock,
                    "n_scored": sum(row.n_requests for row in result.predicted),
                    "n_windows": len(result.evaluated),
                    "n_firings": len(result.firings),
                    "trained": ", ".join(f"{row.version.model}@{row.version.version}" for row in result.trained),
                }
            )
            if failed:
                break
        tell_misplaced(session)
    tell_cost(session.warehouse)
    print_rows(rows, output)
    if failed:
        return failed
    if not any(row["n_scored"] or row["n_windows"] for row in rows):
        note(
            "nothing was scored: no version served before the clock. To replay history, say where to begin, "
            "for example: wml run --since 2013-04-01 --as-of 2014-01-06"
        )
    return int(n_alerts > 0)


def weekly(since: dt.datetime, until: dt.datetime) -> list[dt.datetime]:
    """Return the clocks of a replay: ``since``, each week after it, and ``until`` itself."""
    clocks = []
    clock = since
    while clock < until:
        clocks.append(clock)
        clock += dt.timedelta(weeks=1)
    return [*clocks, until]
