"""``wml replay``."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from warehouse_ml.cli.options import AS_OF, format_option, project_option, target_option
from warehouse_ml.cli.output import format_table, note, print_rows, status
from warehouse_ml.errors import WmlError

if TYPE_CHECKING:
    from warehouse_ml.catalog import Catalog
    from warehouse_ml.project import Project
    from warehouse_ml.registry import Registry
    from warehouse_ml.replay.again import Way
    from warehouse_ml.warehouses.base import Warehouse

_DIFFERENCES = (
    "model",
    "version",
    "alias",
    "request_id",
    "requested_at",
    "logged_score",
    "replayed_score",
    "difference",
    "logged_prediction",
    "replayed_prediction",
)
_SHOWN_DIFFERENCES = 20


@click.command("replay", short_help="Score old decisions again, bit for bit, and explain them.")
@click.argument("request_id", required=False)
@click.option("--model", help="Whose request; needed for a period, and where requests of several models share the id.")
@click.option("--version", help="Compare with this version, by number or alias. Of a period: only its answers.")
@click.option("--window", type=AS_OF, help="Every answer of the evaluation's day, week or month that this lies in.")
@click.option("--since", type=AS_OF, help="Every answer to the requests made from this instant on.")
@click.option("--until", type=AS_OF, help="Every answer to the requests made before this instant.")
@click.option("--all", "is_all", is_flag=True, help="Every answer of the model's log.")
@click.option(
    "--by", type=click.Choice(["sql", "arrays"]), help="Of a period: the way, whichever the version answers by."
)
@click.option("--trees", type=click.IntRange(min=0), default=3, show_default=True, help="How many trees are told.")
@click.option("--sql/--no-sql", default=True, help="Show the SQL that made the features.  [default: --sql]")
@target_option
@format_option
@project_option
def command(
    request_id: str | None,
    model: str | None,
    version: str | None,
    window: dt.datetime | None,
    since: dt.datetime | None,
    until: dt.datetime | None,
    is_all: bool,
    by: Way | None,
    trees: int,
    sql: bool,
    target: str | None,
    output: str,
    project: Path,
) -> int:
    """Score an old decision again, from the features as they were logged, and explain it.

    The version that answered REQUEST_ID answers again, by the SQL in its folder and from its parameters. Shown are
    what each feature added, the trees that counted most, and the SQL that made the features, as it was then.
    --version 2 shows what version 2 says to the same request.

    Without a REQUEST_ID, every answer of --window, --since and --until, or --all of --model is scored again, and each
    that is not the same bit for bit is printed.

    The exit code is 1 if an answer is not the same. Nothing is changed: the warehouse is opened read-only.
    """
    from warehouse_ml.catalog import Catalog
    from warehouse_ml.project import find_project, load_project
    from warehouse_ml.registry import Registry
    from warehouse_ml.session import open_warehouse

    is_period = is_all or any(end is not None for end in (window, since, until))
    _check(request_id, model, is_period, window, since, until, is_all)
    settings = load_project(find_project(project))
    registry = Registry.of(settings)
    chosen = settings.target(target)
    warehouse = open_warehouse(settings, chosen, read_only=True)
    try:
        if request_id is not None:
            return _one(warehouse, registry, _catalog(settings, target), request_id, model, version, trees, sql, output)
        if window is not None:
            from warehouse_ml.replay import window_of

            since, until = window_of(warehouse, Catalog(settings, chosen), str(model), window)
        return _period(warehouse, registry, str(model), version, since, until, by, output)
    finally:
        warehouse.close()


def _check(
    request_id: str | None,
    model: str | None,
    is_period: bool,
    window: dt.datetime | None,
    since: dt.datetime | None,
    until: dt.datetime | None,
    is_all: bool,
) -> None:
    if (request_id is None) == (not is_period):
        raise WmlError(
            "give a request's id, or a period: one of the two",
            hint="wml replay REQUEST_ID    or    wml replay --model MODEL --all",
        )
    if is_period and model is None:
        raise WmlError("a period needs a model", hint="add --model MODEL; wml models list names them")
    if sum((window is not None, since is not None or until is not None, is_all)) > 1:
        raise WmlError("--window, --since and --until, and --all are three ways to name a period", hint="choose one")
    if since is not None and until is not None and since >= until:
        raise WmlError(f"the period is empty: {since:%Y-%m-%d %H:%M} is not before {until:%Y-%m-%d %H:%M}")


def _catalog(settings: Project, target: str | None) -> Catalog | None:
    """Return the project's files, or None if they cannot be read now: an old decision does not depend on them."""
    from warehouse_ml.catalog import Catalog

    try:
        return Catalog(settings, settings.target(target))
    except WmlError as error:
        note(f"note: the project's files cannot be read now, so they are not compared: {error.what}")
        return None


def _period(
    warehouse: Warehouse,
    registry: Registry,
    model: str,
    version: str | None,
    since: dt.datetime | None,
    until: dt.datetime | None,
    by: Way | None,
    output: str,
) -> int:
    import dataclasses

    from warehouse_ml.replay.period import refuse_empty, replay_period

    found: list[dict[str, Any]] = []
    with status() as say:
        done = replay_period(
            warehouse,
            registry,
            model,
            since=since,
            until=until,
            version=version,
            by=by,
            on_difference=found.append,
            on_step=say,
        )
    refuse_empty(model, done, since, until)
    if output == "table":
        print_rows([dataclasses.asdict(one) for one in done], output)
        if found:
            click.echo("\n" + format_table([_exact(row) for row in found[:_SHOWN_DIFFERENCES]], _DIFFERENCES))
        if len(found) > _SHOWN_DIFFERENCES:
            note(f"({len(found) - _SHOWN_DIFFERENCES:,} more; --format csv has them all)")
    else:
        print_rows(found, output, _DIFFERENCES)
    n_answers, n_flips = sum(one.n_answers for one in done), sum(one.n_flips for one in done)
    versions = "1 version" if len(done) == 1 else f"{len(done)} versions"
    flips = f", {n_flips:,} of them another prediction" if found else ""
    note(f"{n_answers:,} answers of {versions} replayed: {len(found):,} differences{flips}")
    return int(bool(found))


def _one(
    warehouse: Warehouse,
    registry: Registry,
    catalog: Catalog | None,
    request_id: str,
    model: str | None,
    version: str | None,
    trees: int,
    has_sql: bool,
    output: str,
) -> int:
    from warehouse_ml.cli.replayed import document, told
    from warehouse_ml.replay import replay

    replayed = replay(warehouse, registry, request_id, model=model, version=version, catalog=catalog, most_trees=trees)
    if output == "table":
        click.echo("\n\n".join(told(replayed, has_sql=has_sql)))
    else:
        print_rows([document(replayed, has_sql=has_sql)], output)
    if not replayed.is_same:
        note(f"{replayed.answer.model}@{replayed.answer.version} does not give the logged answer to {request_id} again")
    return int(not replayed.is_same)


def _exact(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row with numbers in full: four digits would show two scores alike that are not."""
    return {name: repr(value) if isinstance(value, float) else value for name, value in row.items()}
