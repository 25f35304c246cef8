"""``wml train``."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from warehouse_ml.cli.options import as_of_option, format_option, project_option, target_option
from warehouse_ml.cli.output import headline, note, print_rows, status

if TYPE_CHECKING:
    from warehouse_ml.training import Trained, TrainingPlan, Tried

_PLAN = ("model", "what", "before", "now")


@click.command("train", short_help="Train a model and publish it as a version.")
@click.argument("models", nargs=-1, required=True, metavar="MODEL...")
@click.option("--force", is_flag=True, help="Train even if nothing has changed since a version.")
@click.option("--plan", "is_plan", is_flag=True, help="Say what training would do, and why; train nothing.")
@click.option("--try", "is_try", is_flag=True, help="Train and measure beside the champion; keep no version.")
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
    models: tuple[str, ...],
    force: bool,
    is_plan: bool,
    is_try: bool,
    promote: str,
    as_of: dt.datetime,
    target: str | None,
    output: str,
    project: Path,
) -> None:
    """Train MODEL on what is known at the clock and publish it as a version.

    The relations it reads are brought up to date first. The same definition on the same rows makes no new version. A
    search of hyperparameters that was stopped goes on where it was. MODEL may be its file, models/MODEL.sql.
    """
    from warehouse_ml.errors import WmlError
    from warehouse_ml.loop.experiments import model_names, plan_step, try_step
    from warehouse_ml.loop.learning import train_step
    from warehouse_ml.project import find_project
    from warehouse_ml.session import open_session

    if is_plan and is_try:
        raise WmlError("--plan trains nothing, --try does", hint="ask for one of the two")
    rows: list[dict[str, Any]] = []
    with open_session(find_project(project), target) as session, status() as say:
        for name in model_names(models):
            session.catalog.node("model", name)
        for name in model_names(models):
            if is_plan:
                rows += _planned(plan_step(session, name, as_of, on_step=say))
            elif is_try:
                rows += _tried(try_step(session, name, as_of, on_step=say), output)
            else:
                trained = train_step(session, name, as_of, force=force, promote=promote, on_step=say)
                rows.append(_trained(trained, output))
    # Models of two tasks have other metrics each.
    columns = _PLAN if is_plan else list(dict.fromkeys(key for row in rows for key in row))
    print_rows([{**dict.fromkeys(columns), **row} for row in rows], output, columns)


def _trained(trained: Trained, output: str) -> dict[str, Any]:
    _say(trained.notes, trained.warnings)
    version = trained.version
    return {
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


def _tried(tried: Tried, output: str) -> Iterator[dict[str, Any]]:
    reason = f"{tried.model}: {tried.reason}"
    _say([*tried.notes, *([reason] if tried.reason else [])], tried.warnings)
    values = {name: metric.value for name, metric in tried.metrics.items()}
    for name in headline(values) if output == "table" else values:
        metric, beside = tried.metrics[name], tried.comparisons.get(name, {})
        yield {
            "model": tried.model,
            "metric": name,
            "value": metric.value,
            "ci_lower": metric.ci_lower,
            "ci_upper": metric.ci_upper,
            "n": metric.n,
            "champion": tried.champion.version if tried.champion and beside else None,
            "champion_value": beside.get("other_value"),
            "difference": beside.get("difference"),
            "difference_lower": beside.get("ci_lower"),
            "difference_upper": beside.get("ci_upper"),
            "p_value": beside.get("p_value"),
            **({} if output == "table" else {"run_id": tried.run_id}),
        }


def _planned(plan: TrainingPlan) -> Iterator[dict[str, Any]]:
    def row(what: str, before: object, now: object) -> dict[str, Any]:
        return {"model": plan.model, "what": what, "before": before, "now": now}

    last = f"version {plan.last.version}" if plan.last else None
    if plan.same is not None:
        yield row("plan", f"version {plan.same.version}", f"nothing: {plan.reasons[0]}")
        return
    yield row("plan", last, f"version {plan.number}: {'; '.join(plan.reasons)}")
    for change in plan.files:
        yield row(change.place, last, f"{change.what}: +{change.n_added} -{change.n_removed} lines")
    for name in plan.columns_removed:
        yield row("column", name, None)
    for name in plan.columns_added:
        yield row("column", None, name)
    if plan.rows is None:
        yield row("rows", str(plan.last.n_rows) if plan.last else None, str(plan.n_rows))
        return
    found = plan.rows
    yield row("rows", str(found.n_before), str(found.n_now))
    if found.n_added is not None:
        yield row("rows that came", None, str(found.n_added))
        yield row("rows that went", str(found.n_removed), None)
    if found.time_column is not None:
        yield row(f"first {found.time_column}", _instant(found.first_before), _instant(found.first_now))
        yield row(f"last {found.time_column}", _instant(found.last_before), _instant(found.last_now))


def _say(notes: list[str], warnings: list[str]) -> None:
    for told in notes:
        note(told)
    for warning in warnings:
        note(f"warning: {warning}")


def _instant(value: object) -> str | None:
    if isinstance(value, dt.datetime) and value.tzinfo:
        value = value.astimezone(dt.UTC).replace(tzinfo=None)
    return None if value is None else str(value)


def _shown(metrics: Mapping[str, float | None], *, is_held_out: bool) -> dict[str, float | None]:
    return {f"held_out_{name}" if is_held_out else name: value for name, value in metrics.items()}
