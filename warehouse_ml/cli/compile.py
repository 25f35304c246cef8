"""``wml compile``."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from warehouse_ml.cli.options import as_of_option, project_option, target_option
from warehouse_ml.cli.output import note
from warehouse_ml.errors import DefinitionError, ProjectError, TemplateError, did_you_mean

if TYPE_CHECKING:
    from warehouse_ml.catalog import Catalog, Node
    from warehouse_ml.places import SourceText


@click.command("compile", short_help="Show the SQL that would run.")
@click.argument("name")
@click.option("--bytes", "counts", is_flag=True, help="Ask the warehouse how much it would read, too.")
@as_of_option
@target_option
@project_option
def command(name: str, counts: bool, as_of: dt.datetime, target: str | None, project: Path) -> None:
    """Show the SQL of a relation, model, evaluation, rule or test as it renders at the clock.

    A rule about promotions is shown for the newest version against the champion.

    MODEL@3 or MODEL@champion shows the prediction of that version as SQL over a relation named wml_input, in the words
    of the target.

    --bytes says on stderr what the query would read, without running it; what it reads must have been built.
    """
    from warehouse_ml.catalog import Catalog, Clock
    from warehouse_ml.project import find_project, load_project

    settings = load_project(find_project(project))
    if "@" in name:
        from warehouse_ml.registry import Registry

        registry = Registry.of(settings)
        model, _, wanted = name.partition("@")
        click.echo(registry.load(registry.get(model, wanted)).told_on(settings.target(target).engine), nl=False)
        return
    catalog = Catalog(settings, settings.target(target))
    found = [node for node in catalog.nodes.values() if node.name.lower() == name.lower()]
    if not found:
        known = sorted({node.name for node in catalog.nodes.values()})
        raise ProjectError(f'nothing is called "{name}"', has=known, hint=did_you_mean(name, known))
    for node in found:
        if len(found) > 1:
            click.echo(f"-- {node.place}")
        candidate, champion = _versions(settings.artifacts, node, as_of)
        text = catalog.source_text(node, Clock(as_of, candidate=candidate, champion=champion))
        click.echo(text.text.strip() + "\n")
        if node.id.kind == "model":
            _tell_traps(text, node.name, node.config, catalog.target.engine)
        if counts:
            _tell_bytes(catalog, node, text, as_of)


def _versions(artifacts: Path, node: Node, as_of: dt.datetime) -> tuple[int | None, int | None]:
    """Return the two versions that a rule about a promotion is shown for: the newest one, and who serves."""
    if node.config.get("on") != "promote":
        return None, None
    from warehouse_ml.registry import CHAMPION, Registry

    registry = Registry(artifacts)
    model = registry.name_of(str(node.config.get("model")))
    versions = registry.versions(model)
    champion = registry.holder(model, CHAMPION, as_of)
    return versions[-1].version if versions else 2, champion.version if champion is not None else 1


def _tell_bytes(catalog: Catalog, node: Node, text: SourceText, as_of: dt.datetime) -> None:
    from warehouse_ml.cli.cost import bytes_text
    from warehouse_ml.definition import read_definition
    from warehouse_ml.functions import Context, expand, placing
    from warehouse_ml.registry import Registry
    from warehouse_ml.session import open_warehouse

    query = text.text
    if node.id.kind == "model":
        query = read_definition(
            query, name=node.name, place=node.place, source=text, engine=catalog.target.engine
        ).query
    warehouse = open_warehouse(catalog.project, catalog.target, read_only=True)
    try:
        asked = expand(
            query.strip().rstrip(";"), Context(warehouse, Registry.of(catalog.project), as_of), place=node.place
        )
        with placing(asked, warehouse):
            found = warehouse.dry_run(asked.sql)
    finally:
        warehouse.close()
    if found is None:
        note(f"note: {node.place}: the target {catalog.target.name} counts no bytes")
    else:
        note(f"note: {node.place}: would read {found:,} bytes ({bytes_text(found)})")


def _tell_traps(text: SourceText, model: str, config: Mapping[str, Any], engine: str) -> None:
    from warehouse_ml.definition import read_definition
    from warehouse_ml.lint import lint

    try:
        definition = read_definition(text.text, name=model, place=text.place, source=text, engine=engine)
    except (DefinitionError, TemplateError) as error:
        # What cannot be trained is shown all the same.
        note(f"note: {error}")
        return
    for finding in lint(definition, config):
        note(f"note: {finding}")
