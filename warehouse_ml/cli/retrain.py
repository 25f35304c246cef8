"""``wml retrain``."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from warehouse_ml.cli.options import as_of_option, format_option, project_option, target_option
from warehouse_ml.cli.output import note, print_rows, status
from warehouse_ml.errors import WmlError

if TYPE_CHECKING:
    from warehouse_ml.loop.retrain import Retrained
    from warehouse_ml.rules import Failure

_COLUMNS = ["model", "due_to", "result", "version", "alias", "reason"]


@click.command("retrain", short_help="Train again what the rules name, or MODEL, and what they feed.")
@click.argument("models", metavar="[MODEL]...", nargs=-1)
@click.option("--due", is_flag=True, help="Ask the rules for retraining, those about MODEL or all of them.")
@click.option("--dry-run", is_flag=True, help="Show what is due and why; train and record nothing.")
@as_of_option
@target_option
@format_option
@project_option
def command(
    models: tuple[str, ...],
    due: bool,
    dry_run: bool,
    as_of: dt.datetime,
    target: str | None,
    output: str,
    project: Path,
) -> int:
    """Train again what the rules name at the clock, or MODEL, and every model that is fed by one of them.

    With --due each rule with on='retrain' is asked, what fires is recorded in wml.rule_firings, and the models that
    are named are trained, each after those whose predictions it is trained on. When one of these has a new version it
    is trained as well, whether a rule names it or not. The same definition on the same rows makes no new version, so
    that the same clock again trains nothing.

    A training that fails keeps no other from being done, but for the models that it feeds: they are skipped. Exits with
    the error's code then: 2 or 3. With --dry-run, exits with 1 if anything is due.
    """
    from warehouse_ml.loop.retrain import Retrained, ask_step, named, plan, retrain, retrain_due
    from warehouse_ml.project import find_project
    from warehouse_ml.rules import Failure
    from warehouse_ml.session import open_session

    if not due and not models:
        raise WmlError(
            "nothing says what to train again",
            hint="ask the rules: wml retrain --due    or name models: wml retrain MODEL",
        )
    with open_session(find_project(project), target) as session, status() as say:
        reasons = named(session, models)
        if dry_run:
            about = [firing.model for firing in reasons if firing.model is not None]
            asked = ask_step(session, as_of, events=("retrain",), models=about, on_step=say) if due else []
            failures = [Failure(f"the rule {rule.rule}", rule.error) for rule in asked if rule.error is not None]
            firings = [firing for rule in asked for firing in rule.firings] if due else reasons
            done = [Retrained(model, "due") for model in plan(session, as_of, firings)]
        else:
            told = (
                retrain_due(session, as_of, models=models, on_step=say)
                if due
                else retrain(session, as_of, reasons, on_step=say)
            )
            done, failures = told.models, told.failures
    for model in done:
        for warning in model.trained.warnings if model.trained else []:
            note(f"warning: {warning}")
    print_rows([_row(model) for model in done], output, _COLUMNS)
    if not done and not failures:
        note("nothing is due: no rule for retraining fired at the clock")
    if failures:
        return tell_failures(failures, "nothing was to be done" if dry_run else "all else was done")
    return int(dry_run and bool(done))


def tell_failures(failures: Sequence[Failure], rest: str = "all else was done") -> int:
    """Say on stderr what failed while the rest went on, and return the worst of the exit codes; 0 for nothing."""
    if not failures:
        return 0
    for failure in failures:
        first, _, lines = str(failure.error).partition("\n")
        note(click.style("error: ", fg="red", bold=True) + first)
        if lines:
            note(lines)
    names = ", ".join(failure.what for failure in failures)
    note(f"failed: {names}; {rest}")
    return max(failure.error.exit_code for failure in failures)


def _row(model: Retrained) -> dict[str, Any]:
    version = model.trained.version if model.trained else None
    return {
        "model": model.due.model,
        "due_to": model.due.why,
        "result": model.result,
        "version": version.version if version else None,
        "alias": model.trained.alias if model.trained else None,
        "reason": model.reason or None,
    }
